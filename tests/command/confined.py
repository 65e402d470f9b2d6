#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""confined.py PROFILE COMMAND [ARGUMENT...]: runs a command under a seccomp profile for containers.

The profile is a JSON file as Docker reads it, with one list of allowed calls for all arguments. Names
that this architecture does not have are ignored, as there. Ends with 77 if that cannot be done.
"""
import ctypes
import json
import os
import platform
import re
import struct
import subprocess
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO, KILL = 0x7fff0000, 0x00050000, 0x80000000
ARCHITECTURES = {'x86_64': ('SCMP_ARCH_X86_64', 0xc000003e),
                 'aarch64': ('SCMP_ARCH_AARCH64', 0xc00000b7)}


def give_up(reason):
    print('confined: ' + reason, file=sys.stderr)
    sys.exit(77)


def numbers_of_calls():
    """The numbers of the system calls here, by name."""
    try:
        text = subprocess.run(os.environ.get('CC', 'cc').split() + ['-E', '-dM', '-x', 'c', '-'],
                              input='#include <sys/syscall.h>\n', capture_output=True, text=True,
                              check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        give_up('a C compiler is missing')
    return {name: int(number) for name, number in
            re.findall(r'^#define __NR_(\w+) (\d+)$', text, re.M)}


def program_of(profile):
    """The filter: a list of (code, jump if true, jump if false, operand)."""
    if platform.machine() not in ARCHITECTURES:
        give_up('no profile for ' + platform.machine())
    name, number = ARCHITECTURES[platform.machine()]
    (rule,) = profile['syscalls']
    assert profile['defaultAction'] == 'SCMP_ACT_ERRNO' and rule['action'] == 'SCMP_ACT_ALLOW'
    assert not rule.get('args') and name in [a['architecture'] for a in profile['archMap']]
    numbers = numbers_of_calls()
    program = [(LOAD, 0, 0, 4), (JUMP_IF_EQUAL, 1, 0, number), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    for call in rule['names']:
        if call in numbers:
            program += [(JUMP_IF_EQUAL, 0, 1, numbers[call]), (RETURN, 0, 0, ALLOW)]
    return program + [(RETURN, 0, 0, ERRNO | profile['defaultErrnoRet'])]


def confine(program):
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in program))
    head = ctypes.create_string_buffer(struct.pack('HP', len(program), ctypes.addressof(code)))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
            libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.c_void_p(ctypes.addressof(head)), 0, 0) != 0:
        give_up('seccomp filters: ' + os.strerror(ctypes.get_errno()))


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        program = program_of(json.load(file))
    confine(program)
    os.execvp(sys.argv[2], sys.argv[2:])


main()
