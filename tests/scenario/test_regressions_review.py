"""Faults found by reviewing and attacking the server, each by the name of what went wrong."""
import socket
import subprocess

import pytest
import requests

from client import Client, error_of
from make_media import media
from server import BUILD, SANITIZER, Server, clean_environment, run, wait_for

OPTIONS = ('--workers', '2')


def objects(server, kind):
    return server.store.below(kind)


def test_a_job_deleted_while_it_runs_leaves_no_objects(make_server, sample):
    """The janitor removed the objects at once, and the task that still ran stored more behind it."""
    server = make_server('--workers', '2')
    client = Client(server.url)
    file_id = client.upload(sample)['file_id']
    for _ in range(6):
        job = client.start_job(file_id)   # of all rungs: it isn't done before it is deleted
        client.follow(job['job_id'], lambda j: j['status'] != 'pending')
        assert client.delete(f'/api/jobs/{job["job_id"]}').status_code == 200
        assert client.delete(f'/api/jobs/{job["job_id"]}').status_code == 204
    wait_for(lambda: server.log().count('event=job_removed') >= 6, 'the jobs are removed')
    wait_for(lambda: not objects(server, 'hls') and not server.tasks(), 'no object and no task is left')


def test_an_upload_deleted_while_it_arrives_leaves_no_object(make_server):
    server = make_server('--workers', '0')
    client = Client(server.url)
    data = media('sound-8k-mono.wav').read_bytes() * 8
    with socket.create_connection(('127.0.0.1', server.port)) as s:
        s.sendall(f'POST /api/files?filename=a.wav HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n'.encode())
        s.sendall(data[:len(data) // 2])
        file_id = wait_for(lambda: server.rows('SELECT id FROM file'), 'the upload has a record')[0][0]
        assert client.delete(f'/api/files/{file_id}').status_code == 204
        s.sendall(data[len(data) // 2:])
        assert b' 404 ' in s.recv(4096).split(b'\r\n')[0]
    assert objects(server, 'uploads') == []


@pytest.mark.skipif(bool(SANITIZER), reason='the shim would have to be loaded behind the sanitizer')
@pytest.mark.parametrize('place', ['loading', 'in warm-up'])
def test_a_zygote_stuck_in_warm_up_ends_with_its_server(make_server, tmp_path, place):
    """It learned of its server's death only where it polls, and so outlived it for ever, busy."""
    task = tmp_path / 'stuck-task'
    task.write_text(f"""#!/bin/sh
STUCK_FROM='{place}' LD_PRELOAD='{BUILD}/tests/preload/stuck_warm_up.so' exec '{BUILD}/millrace-task'
""")
    task.chmod(0o755)
    server = make_server('--workers', '0', '--task', task, start=False)
    server.folder.mkdir()
    with server.log_path.open('wb') as log:
        server.process = subprocess.Popen(server.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=server.folder,
                                          env=clean_environment())
    Server.live.append(server)
    wait_for(lambda: f'stuck: {place}' in server.log(), 'its zygote is stuck')
    assert server.zygotes()
    server.kill()   # insists that the zygote ends
    assert ('stuck: in warm-up' in server.log()) == (place == 'in warm-up')


@pytest.mark.parametrize('delay', [10, 10.01])
def test_a_picture_that_comes_late_plays(client, tmp_path, delay):
    """Boundaries before the first frame fell to zero."""
    film = tmp_path / 'late.mkv'
    subprocess.run(['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'sine=440:duration=20', '-itsoffset', str(delay), '-f', 'lavfi',
                    '-i', 'testsrc2=size=320x180:rate=25:duration=8', '-map', '1:v', '-map', '0:a', '-pix_fmt', 'yuv420p',
                    '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac', str(film)], check=True)
    job = client.run_job(client.upload(film)['file_id'])
    assert job['streaming']['segments_total'] in (5, 6)


def test_a_stream_of_many_jobs_is_not_cut(make_server):
    """What a user's stream began with was more than its queue holds."""
    server = make_server('--workers', '0')
    client = Client(server.url)
    file_id = client.upload(media('sound-8k-mono.wav'))['file_id']
    wanted = {client.start_job(file_id)['job_id'] for _ in range(90)}
    with client.events('/api/events') as events:
        for name, _, data in events:
            if name == 'job':
                wanted.discard(data['job_id'])
            if not wanted:
                break
    assert not wanted


@pytest.mark.parametrize('keys', [('ID:SECRET:',), ('ID:ONE', 'ID:TWO:alice')], ids=str)
def test_an_access_key_that_may_mean_more_than_was_meant(tmp_path, keys):
    """An empty USER, as of an unset variable, reached every user's objects."""
    words = [word for key in keys for word in ('--access-key', key)]
    done = run('serve', '--data', tmp_path, '--listen', '127.0.0.1:0', *words, check=2)
    assert 'access key' in done.stderr and 'SECRET:\n' not in done.stderr


def test_a_shape_that_no_encoder_takes_is_told_before_the_job(client, tmp_path):
    """Pixels 500 times as wide as high planned a rung of half a million columns."""
    film = tmp_path / 'wide.mp4'
    subprocess.run(['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=2', '-vf', 'setsar=500/1',
                    '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-preset', 'ultrafast', str(film)], check=True)
    job = client.run_job(client.upload(film)['file_id'])
    assert job['streaming']['segments_total'] == 1


def test_a_users_key_replaces_no_segment(make_server):
    boto3 = pytest.importorskip('boto3')
    from botocore.config import Config
    server = make_server('--workers', '0', '--access-key', 'ALICE:SECRET:alice')
    s3 = boto3.client('s3', endpoint_url=server.url, region_name='us-east-1', aws_access_key_id='ALICE',
                      aws_secret_access_key='SECRET', config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))

    def put(key):
        return requests.put(s3.generate_presigned_url('put_object', Params={'Bucket': 'media', 'Key': key}), data=b'x')
    error_of(put('hls/alice/01900000-0000-7000-8000-000000000000/240p/segment_000.m4s'), 403, 'AccessDenied')
    assert put('uploads/alice/x').status_code == 200
