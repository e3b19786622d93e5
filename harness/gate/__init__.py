"""``python -m harness gate``: fails where an engine got slower, fatter or lossier; and ``accept``.

It judges a run that was recorded against others that were: by name, by commit, or the last ones.
Time is judged as a multiple of the floor's and of legacy's in the same run, so that it holds when
the machine changes; memory and success are judged as they are.
"""

from harness.cli.gate import accept, add_accept, add_gate, gate

__all__ = ["accept", "add_accept", "add_gate", "gate"]
