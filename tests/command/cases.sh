#!/bin/bash
# SPDX-License-Identifier: MIT
# What cases.c says of cases_outcomes, $1: whether its cases share processes, as under AddressSanitizer,
# or not. $2 is "address" if the program is compiled with that.
set -u

program=$1
sanitized=${2-}
count=0

# check NAME COMMAND...
check() {
	local name=$1
	shift

	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		printf '%s\n' "$said" | sed 's/^/#   /'
	fi
}

# said OUTCOME CASE...
says() {
	local outcome=$1 name
	shift

	for name; do
		printf '%s\n' "$said" | grep -qxE "$outcome [0-9]+ - outcomes::$name( # SKIP .*)?" || return 1
	done
}

# because CASE TEXT: the comment below the case's line.
because() {
	printf '%s\n' "$said" | sed -n "/ - outcomes::$1/,/^n*o*t* *ok /p" | grep -q "^#   .*$2"
}

all_are_told_in_order() {
	local wanted
	wanted=$("$program" --list | sed 's|/|::|')
	[ "$(printf '%s\n' "$said" | sed -nE 's/^(not )?ok [0-9]+ - ([^ ]*).*/\2/p')" = "$wanted" ] &&
		[ "$(printf '%s\n' "$said" | sed -nE 's/^(not )?ok ([0-9]+) .*/\2/p')" = \
			"$(seq "$(printf '%s\n' "$wanted" | wc -l)")" ] &&
		[ "$(printf '%s\n' "$said" | sed -n 's/^1\.\.//p')" = "$(printf '%s\n' "$wanted" | wc -l)" ]
}

# What an abort leaves is no use.
ulimit -c 0
said=$("$program")
status=$?

check 'a program with a case that fails fails' [ "$status" -ne 0 ]
check 'each case is told once, in order' all_are_told_in_order
check 'cases pass' says ok passes passes_at_the_end
check 'none meets what another left' says ok leaves_a_variable meets_no_variable leaves_a_limit \
	meets_no_limit leaves_a_descriptor meets_no_descriptor
check 'a case that needs a process of its own has it' says ok passes_in_a_process_of_its_own is_alone \
	follows_one_that_is_alone
check 'an expectation fails' says 'not ok' expects_something_else
check 'what it printed is shown' because expects_something_else 'this is the one'
check 'an assertion fails' says 'not ok' asserts_something_else
check 'a case is skipped' says ok 'cannot_run # SKIP for want of something'
check 'a case aborts' says 'not ok' aborts
check 'its signal is named' because aborts 'signal 6'
check 'one that has to abort passes' says ok has_to_abort
check 'a case exits' says 'not ok' exits
check 'and it is said' because exits 'before its end'
check 'a case hangs' says 'not ok' hangs
check 'and it is said, too' because hangs 'not end in time'
if [ -n "$sanitized" ]; then
	check 'a leak fails the case that has it' says 'not ok' leaks
	check 'it is named' because leaks LeakSanitizer
	check 'a leak fails no other' says ok passes_before_a_leak leaves_a_variable_after_a_leak
	check 'an overflow fails the case that has it' says 'not ok' overflows_behind_another
	check 'it is named, too' because overflows_behind_another AddressSanitizer
	check 'it fails no other' says ok passes_before_an_overflow
fi
echo "1..$count"
