# SPDX-License-Identifier: BSD-2-Clause
"""Scripts in guests, over a console: the protocol of lab/guest/disco/runner."""
import base64
import queue
import re
import subprocess
import threading
import time

from rounds import RoundFailed

# Of a guest's terminal, 4096 with what a line takes besides.
LINE_BUFFER = 3500
CMDLINE = "console=ttyS0 quiet disco.run=runner"
# Of qemu_guest(): standard input and output are the console's.
QEMU_CONSOLE = ("-chardev", "stdio,id=c0,signal=off",
                "-device", "virtconsole,chardev=c0")


def word_of(said, key):
    """What stands behind the key in the one line that begins with it."""
    for line in said:
        words = line.split()
        if words and words[0] == key:
            return words[1:]
    raise RoundFailed(f"no '{key}' in {said[-5:]}")


class Console:
    """A process whose input and output are the console of a guest."""

    def __init__(self, name, command, timeout):
        self.name, self.timeout, self.nr = name, timeout, 0
        # pylint: disable=consider-using-with # until close()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.lines = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line.decode(errors="replace").rstrip("\r\n"))
        self.lines.put(None)

    def wait_for(self, pattern):
        """Lines until one matches; the match, and the lines before it."""
        end, before = time.monotonic() + self.timeout, []
        while True:
            try:
                line = self.lines.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty as e:
                raise RoundFailed(f"{self.name}: no '{pattern}' within "
                                  f"{self.timeout} s; last: {before[-5:]}"
                                  ) from e
            if line is None:
                self.lines.put(None)  # for whoever waits for it next
                raise RoundFailed(f"{self.name} has ended: no '{pattern}'; "
                                  f"last: {before[-5:]}")
            match = re.search(pattern, line)
            if match:
                return match, before
            before.append(line)

    def ready(self):
        self.wait_for("RUNNER ready")

    def send(self, script):
        text = base64.b64encode(script.encode()).decode()
        if len(text) > LINE_BUFFER:
            text = self.put(text)
        self.nr += 1
        parts = [f"+{text[i:i + 900]}" for i in range(0, len(text), 900)]
        try:
            self.process.stdin.write(
                "".join(f"{p}\n" for p in [*parts, f"run {self.nr}"]).encode())
            self.process.stdin.flush()
        except OSError as e:
            raise RoundFailed(f"{self.name} has ended: {e}") from e

    def put(self, text):
        """A long script into the guest, a part at a time; what runs it."""
        for i in range(0, len(text), LINE_BUFFER // 2):
            self.do(f"printf %s '{text[i:i + LINE_BUFFER // 2]}' "
                    f"{'>>' if i else '>'}/tmp/long-script")
        return base64.b64encode(b"base64 -d </tmp/long-script >/tmp/long && "
                                b"bash /tmp/long").decode()

    def result(self):
        """What the script that was sent last has printed."""
        match, said = self.wait_for(rf"RUNNER end {self.nr} (\d+)")
        if match[1] != "0":
            raise RoundFailed(f"{self.name}: its script failed: {said}")
        return said

    def do(self, script):
        self.send(script)
        return self.result()

    def close(self):
        self.process.kill()
        self.process.wait()
