# SPDX-License-Identifier: MIT
# Bash completion for sluice. The options are read from --help, so that they match the program.

_sluice_options() {
	"$1" "$2" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*(\[?=)?' | sed 's/\[=$//' | sort -u
}

_sluice() {
	local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} program=${COMP_WORDS[0]}

	compopt +o nospace 2>/dev/null
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'serve send receive probe bench --help --version' -- "$word")
		return
	fi
	case $word in
	--*)
		mapfile -t COMPREPLY < <(compgen -W "$(_sluice_options "$program" "$command")" -- "$word")
		[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
		;;
	*)
		if [ "$command" = serve ]; then
			mapfile -t COMPREPLY < <(compgen -d -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		;;
	esac
}

complete -o filenames -F _sluice sluice
