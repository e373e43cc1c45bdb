# complete.zsh DIRECTORY LINE: what zsh, with the completions of DIRECTORY, offers at the end of LINE, a line each.
zmodload zsh/zpty
zpty shell zsh -f -i
# The terminal echoes these lines, and that must not be taken for what they print.
read -r -d '' setup <<'END'
PROMPT=; unsetopt zle_bracketed_paste 2>/dev/null
fpath=($DIRECTORY $fpath)
autoload -Uz compinit; compinit -u -D
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
start() { print -r -- '<off'ers'>' }
finish() { print -r -- '</off'ers'>'; exit }
compprefuncs=(start) comppostfuncs=(finish)
compadd() {
    local -a found
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    builtin compadd -O found "$@"
    print -rl -- $found
    builtin compadd "$@"
}
print -r -- rea'dy'
END
zpty -w shell "DIRECTORY=${(q)1}"
zpty -w shell "$setup"
zpty -r -m shell ready '*ready'
zpty -n -w shell "$2"$'\t'
zpty -r shell output '*</offers>'
print -r -- ${${output##*<offers>}%%</offers>*}
