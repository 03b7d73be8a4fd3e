"""BLEU of sub-networks on validation sentences, which they translate as they will on a device."""

import numpy as np
import torch
from torch import Tensor

from harness.spaces.arch import Arch
from harness.supernet.supernet import Supernet
from harness.supernet.translating import TranslatingSupernet, embedded
from harness.training.draws import ImageData
from harness.training.evaluate import SubnetEvaluator
from harness.training.judging import Answers
from harness.training.sentences import Sentences, Translations


class TranslationEvaluator(SubnetEvaluator):
    """Cuts sub-networks out of a supernet and lets them translate word by word."""

    supernet: TranslatingSupernet
    data: Sentences

    def source(self, arch: Arch) -> Tensor:
        """Embeddings of words and positions."""
        return self.supernet.source_of(arch)

    def accuracy(self, arch: Arch) -> float:
        """BLEU on the validation sentences."""
        return self.data.validation.bleu(self.translated(arch, self.data.validation))

    @torch.inference_mode()
    def translated(self, arch: Arch, judges: Translations) -> Answers:
        """What a sub-network makes of sentences, [n, tokens]."""
        tokens = embedded(judges.sentences, self.source(arch)).to(self._device)
        scores: Tensor = self.subnet(arch)(tokens)
        return np.asarray(scores.argmax(2).cpu().numpy())


def evaluator_of(supernet: Supernet, data: ImageData, device: str) -> SubnetEvaluator:
    """The one for what the supernet is of."""
    translates = isinstance(supernet, TranslatingSupernet)
    return (TranslationEvaluator if translates else SubnetEvaluator)(supernet, data, device)
