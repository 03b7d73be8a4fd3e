"""Linux boards, or any machine with an SSH server, as devices."""

from harness.transports.ssh.address import Address
from harness.transports.ssh.transport import SshTransport

__all__ = ["Address", "SshTransport"]
