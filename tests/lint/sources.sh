# Lists masu's C sources below directory $1, one a line, relative to it; sourced by the lints.
list_sources()
{
    (cd "$1" && find base model cgroup policy collectors exporters dashboard agent cli tests \
        -name node_modules -prune -o -type f -name '*.[ch]' -print 2>/dev/null | sort)
}
