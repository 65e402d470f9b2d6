# SPDX-License-Identifier: MIT
"""A file of gigabytes for transfer_secret_large.sh, in few system calls."""

import glob
import os
import sys
import time

PIECE = 256 << 10  # what the command reads and writes at once


def write(name, size):
    """Random bytes in each piece, and holes."""
    with open(name, "wb", 0) as file:
        for offset in range(0, int(size), PIECE):
            os.pwrite(file.fileno(), os.urandom(4096), offset)
        file.truncate(int(size))


def wait(root, size, process):
    """Until there is a part of this size below the root, or the process has ended."""

    def stored():
        parts = glob.glob(root + "/**/.sluice-*.part", recursive=True)
        return max(map(os.path.getsize, parts), default=0)

    def runs():
        with open("/proc/%s/stat" % process) as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"

    while stored() < int(size) and runs():
        time.sleep(0.01)


def compare(*names):
    first, second = (open(name, "rb", 0) for name in names)
    ours, theirs = bytearray(4 * PIECE), bytearray(4 * PIECE)
    at = 0
    while count := first.readinto(ours):
        if second.readinto(theirs) != count or ours != theirs:
            sys.exit("they differ after byte %d" % at)
        at += count
    if second.readinto(theirs):
        sys.exit("%s goes on after byte %d" % (names[1], at))


globals()[sys.argv[1]](*sys.argv[2:])
