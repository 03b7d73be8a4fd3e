from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FileFormatError, WorkspaceError
from harness.files import LineLog
from harness.tables.journal import Journal, Reading, Visit

times = st.lists(st.integers(1, 10**12), min_size=1).map(tuple)
values = st.dictionaries(st.sampled_from(["thread", "device", "net", "gross"]), times)
visits = st.builds(
    Visit,
    st.integers(0, 999),
    st.just(0),
    st.integers(0, 3 * 10**18),
    st.tuples(times, values).map(lambda both: {"wall": both[0], **both[1]}),
    st.none() | st.integers(1, 99),
)


@given(st.lists(visits, unique_by=lambda visit: visit.entry))
def test_visits_read_back_as_they_were_appended(made: list[Visit]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal = Journal(path)
        for visit in made:
            journal.append(visit)
        journal.close()
        again = Journal(path)
        again.close()
    assert again.visits == made == journal.visits


def test_every_cut_of_the_file_keeps_all_whole_lines_and_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    made = [Visit(entry, 0, 5, {"wall": (1, 22), "thread": (3,)}) for entry in range(4)]
    for visit in made:
        journal.append(visit)
    journal.close()
    content = path.read_bytes()
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        continued = Journal(path)
        whole = content[:cut].count(b"\n")
        assert continued.visits == made[:whole]
        continued.append(made[0])
        continued.close()
        last = Journal(path)
        last.close()
        assert last.visits == [*made[:whole], made[0]]


def test_what_is_appended_is_on_disk_before_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for entry in range(3):
        journal.append(Visit(entry, 0, 5, {"wall": (1,)}))
        assert (tmp_path / "journal.jsonl").read_text().count("\n") == entry + 1
    journal.close()


@pytest.mark.parametrize("line", ["x", "3", "[1]", "{}"])
def test_a_broken_whole_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(f"[0,0,1,[1],null]\n{line}\n")
    with pytest.raises(FileFormatError, match=r"journal\.jsonl:2"):
        Journal(path)


def test_a_packed_journal_reads_as_before_and_a_kill_while_packing_loses_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    made = [Visit(entry, 0, 5, {"wall": (1, 22)}) for entry in range(50)]
    journal.append_reading(Reading(0, {"load_1m": 0.5}))
    for visit in made:
        journal.append(visit)
    content = path.read_bytes()
    journal.pack()
    assert not path.exists()
    path.write_bytes(content)  # as a kill between the two steps leaves it
    again = Journal(path)
    assert again.visits == made
    assert again.readings == [Reading(0, {"load_1m": 0.5})]
    again.pack()
    again.close()
    assert [each.name for each in tmp_path.iterdir()] == ["journal.jsonl.gz"]


def test_a_damaged_packed_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl.gz").write_bytes(b"\x1f\x8b\x08 and no more")
    with pytest.raises(FileFormatError, match=r"journal\.jsonl\.gz"):
        Journal(tmp_path / "journal.jsonl")


def test_journals_of_older_versions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("[0,0,1,[7,8],[5,6]]\n[1,0,2,[9],null]\n[2,0,3,[9],null,40,1.5]\n")
    journal = Journal(path)
    journal.close()
    assert journal.visits == [
        Visit(0, 0, 1, {"wall": (7, 8), "thread": (5, 6)}),
        Visit(1, 0, 2, {"wall": (9,)}),
        Visit(2, 0, 3, {"wall": (9,)}, 40, 1.5),
    ]


def test_two_runs_cannot_write_one_journal(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "log.jsonl")
    with pytest.raises(WorkspaceError, match="another run"):
        LineLog(tmp_path / "log.jsonl")
    log.close()
    LineLog(tmp_path / "log.jsonl").close()


@pytest.mark.parametrize(
    "line",
    [
        '[1,0,5,{"wall":[NaN]}]',
        '[1,0,5,{"wall":[1e300]}]',
        f'[1,0,5,{{"wall":[{10**300}]}}]',
        '[1,0,5,{"wall":[-9]}]',
        '[1,0,5,{"wall":[]}]',
        '[1,0,5,{"thread":[9]}]',
        '[1,0,5,{"sundial":[9],"wall":[9]}]',
        '[1,"x",5,{"wall":[9]}]',
        '[1,1000000000,5,{"wall":[9]}]',
        '[1,2,5,{"wall":[9]}]',
        '[-1,0,5,{"wall":[9]}]',
        '[true,0,5,{"wall":[9]}]',
        '[1,0,-1000000000000000000,{"wall":[9]}]',
        '[1,0,3800000000000000000,{"wall":[9]}]',
        '[1,0,1000000000000000000000,{"wall":[9]}]',
        '[1,0,5,{"wall":[9]},"x",1.5]',
        '[1,0,5,{"wall":[9]},4,-1.5]',
        '[2,0,5,{"wall":[9]}]',  # a second time in the round
        '{"round":0,"conditions":{"load_1m":"x"}}',
        '{"round":0,"conditions":{"other_cpus":[1]}}',
        '{"round":0,"conditions":[]}',
        '{"sustained":{"entry":1}}',
        '{"sustained":[]}',
        "[" * 100_000,
    ],
)
def test_a_line_with_one_wrong_value_is_named_in_one_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(f'[2,0,5,{{"wall":[9]}}]\n{line}\n')
    with pytest.raises(FileFormatError, match=r"journal\.jsonl:2: ") as raised:
        Journal(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500
