#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py FILE HEADER NAME: writes the bytes of FILE into a C header as an array NAME."""
import sys

source, header, name = sys.argv[1:]
with open(source, 'rb') as file:
    data = file.read()
with open(header, 'w', encoding='ascii') as file:
    file.write('static const unsigned char %s[] = {\n' % name)
    for i in range(0, len(data), 20):
        file.write(','.join(map(str, data[i:i + 20])) + ',\n')
    file.write('};\nstatic const unsigned long %s_bytes = sizeof(%s);\n' % (name, name))
