# A folder as of a bad network: network.py UNDER FAULTS SEED MOUNTPOINT -f shows the folder UNDER, and answers with errors as often as the
# file FAULTS says, from 0 to 1. For disk.mjs; needs Debian's python3-fuse.
import errno
import os
import random
import sys

import fuse

fuse.fuse_python_api = (0, 2)
under, faults, seed = sys.argv[1:4]
del sys.argv[1:4]
draw = random.Random(int(seed))
errors = [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES, errno.ENOSPC]


def often():
    try:
        with open(faults) as file:
            return float(file.read() or 0)
    except OSError:
        return 0.0


def may_fail(work):
    def call(*args):
        if draw.random() < often():
            return -draw.choice(errors)
        try:
            return work(*args)
        except OSError as error:
            return -error.errno

    return call


class Folder(fuse.Fuse):
    pass


def simple(name, work):
    setattr(Folder, name, may_fail(lambda self, path, *args: work(under + path, *args)))


def stat(path):
    of = os.lstat(path)
    names = [name for name in dir(of) if name.startswith('st_')]
    return fuse.Stat(**{name: getattr(of, name) for name in names if name in fuse.Stat().__dict__ or name in (
        'st_mode', 'st_ino', 'st_dev', 'st_nlink', 'st_uid', 'st_gid', 'st_size', 'st_atime', 'st_mtime', 'st_ctime')})


def truncate(path, length):
    os.truncate(path, length)


def opened(path, flags, *_):
    os.close(os.open(path, flags & ~os.O_EXCL & ~os.O_CREAT & ~os.O_TRUNC))
    if flags & os.O_TRUNC:
        os.truncate(path, 0)


def create(path, flags, mode):
    os.close(os.open(path, flags | os.O_CREAT, mode))


def read(path, size, offset):
    with open(path, 'rb') as file:
        file.seek(offset)
        return file.read(size)


def write(path, content, offset):
    file = os.open(path, os.O_WRONLY)
    try:
        return os.pwrite(file, content, offset)
    finally:
        os.close(file)


def nothing(*_):
    return 0


def entries(path, _):
    return [fuse.Direntry(name) for name in ['.', '..', *os.listdir(path)]]


for name, work in {
    'getattr': stat, 'readlink': os.readlink, 'unlink': os.unlink, 'rmdir': os.rmdir, 'mkdir': os.mkdir, 'truncate': truncate, 'open': opened,
    'create': create, 'read': read, 'write': write, 'chmod': os.chmod, 'fsync': nothing, 'flush': nothing, 'readdir': entries,
    'utime': os.utime,
}.items():
    simple(name, work)
for name, work in {'rename': os.rename, 'link': os.link}.items():
    setattr(Folder, name, may_fail(lambda self, a, b, work=work: work(under + a, under + b)))
Folder.symlink = may_fail(lambda self, target, path: os.symlink(target, under + path))

server = Folder()
server.parse(errex=1)
server.main()
