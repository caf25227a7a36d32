"""Many speakers at once: the recording as WebSocket frames for tests/load/live_load, and what the server spends on them.

    figures = load(server, frames(tmp_path, recording(tmp_path, 60)), sessions=400)
    assert figures['chunks_not_stored'] == 0 and figures['oldest_p99_s'] <= 2.5
"""
import base64
import json
import os
import struct
import subprocess
import threading

from server import BUILD, memory, process_state

CHUNK_MS = 300
TICKS = os.sysconf('SC_CLK_TCK')
MASK = b'\x37\xfa\x21\x3d'


def tree(pid):
    """The process and all below it."""
    states = {int(p): process_state(int(p)) for p in os.listdir('/proc') if p.isdigit()}
    found, size = {pid}, 0
    while len(found) != size:
        size = len(found)
        found |= {p for p, state in states.items() if state and state[2] in found and state[1] not in 'ZX'}
    return found


def cpu_seconds(pids):
    ticks = 0
    for p in pids:
        fields = open(f'/proc/{p}/stat', encoding='ascii').read().rsplit(')', 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def masked(opcode, payload):
    """A client's frame, whole (RFC 6455, 5.2)."""
    length = len(payload)
    head = bytes([0x80 | opcode]) + (struct.pack('!B', 0x80 | length) if length < 126 else
                                     struct.pack('!BH', 0x80 | 126, length) if length < 65536 else
                                     struct.pack('!BQ', 0x80 | 127, length))
    mask = int.from_bytes((MASK * (length // 4 + 1))[:length], 'big')
    return head + MASK + (int.from_bytes(payload, 'big') ^ mask).to_bytes(length, 'big')


def frames(folder, chunks, binary=False):
    """The file that live_load sends from."""
    def message(i, chunk):
        if binary:
            return masked(2, chunk)
        return masked(1, json.dumps({'action': 'audioChunk', 'audioData': base64.b64encode(chunk).decode(), 'format': 'webm-opus',
                                     'timestamp': 1732622783456 + i * CHUNK_MS, 'chunkIndex': i}).encode())
    path = folder / 'frames'
    with path.open('wb') as f:
        for frame in [*(message(i, c) for i, c in enumerate(chunks)), masked(1, b'{"action":"stop"}')]:
            f.write(struct.pack('<I', len(frame)) + frame)
    return path


def load(server, path, sessions, chunk_ms=CHUNK_MS, program=BUILD / 'tests/load/live_load'):
    """Runs it to its end. The figures of live_load.c, and what server and tasks took: CPU seconds, bytes a session."""
    def footprint(pids):
        return sum(memory(p, 'RssAnon') for p in pids)
    before = tree(server.pid)
    idle, cpu, peak = footprint(before), cpu_seconds(before), 0
    generator = subprocess.Popen([program, str(server.port), str(sessions), str(chunk_ms), path], stdout=subprocess.PIPE, text=True)
    ended = threading.Event()
    told = []

    def hear():
        told.append(generator.communicate()[0])
        ended.set()
    threading.Thread(target=hear, daemon=True).start()
    pids = before
    while not ended.wait(1):
        pids = tree(server.pid)
        peak = max(peak, footprint(pids))
    assert generator.returncode == 0
    figures = json.loads(told[0])
    figures['server_cpu_s'] = round(cpu_seconds(tree(server.pid)) - cpu, 2)
    figures['bytes_per_session'] = int((peak - idle) / sessions)
    return figures
