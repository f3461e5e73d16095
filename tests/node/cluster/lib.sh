# What the scripts of this folder share.
bin="${VCI_TEST_CACHE:-$HOME/.cache/vci-apiserver}/bin"
nodes="n1 n2 n3"

number() { echo "${1#n}"; }
address() { echo "192.168.77.1$(number "$1")"; }

# Whether the machine has cgroup v2 alone: one hierarchy for all.
unified() { [ -f /sys/fs/cgroup/cgroup.controllers ]; }
controllers="cpu cpuset io memory pids"

# The hierarchies, by the name of their folder.
hierarchies() {
  if unified; then echo .; else sed -n 's/^[0-9]*:\(name=\)\?\([^:]\+\):.*/\2/p' "${cgroups_of:-/proc/self/cgroup}"; fi
}

# The cgroup of hierarchy $1 in which all of this is. With v1 that of the process that $cgroups_of tells of, or the topmost
# where that one cannot be seen; with v2 the topmost, because no other one may have processes and share out as well.
cgroup() {
  local path
  ! unified || { echo /sys/fs/cgroup; return; }
  path=$(sed -n "s/^[0-9]*:\(name=\)\?$1:\(.*\)/\2/p" "${cgroups_of:-/proc/self/cgroup}")
  path="/sys/fs/cgroup/$1${path%/}"
  [ -d "$path" ] || path="/sys/fs/cgroup/$1"
  echo "$path"
}

# Lets what is below a cgroup of v2 have the controllers.
share_out() { printf '+%s ' $controllers >"$1/cgroup.subtree_control"; }

# A cgroup and those above it, in every hierarchy.
make_cgroups() {
  local hierarchy path part
  for hierarchy in $(hierarchies); do
    path=$(cgroup "$hierarchy")
    for part in ${1//\// }; do
      mkdir -p "$path/$part"
      # A new cpuset of v1 has no processors.
      [ "$hierarchy" != cpuset ] || cat "$path/cpuset.cpus" >"$path/$part/cpuset.cpus"
      [ "$hierarchy" != cpuset ] || cat "$path/cpuset.mems" >"$path/$part/cpuset.mems"
      path="$path/$part"
    done
  done
  ! unified || { share_out "$(cgroup .)"; share_out "$(cgroup .)/${1%%/*}"; }
}

# With v2: empties a node's topmost cgroup into the one of its daemons, so that it may share out.
vacate() {
  local top process
  top="$(cgroup .)/$1"
  for process in $(cat "$top/cgroup.procs"); do echo "$process" >"$top/daemons/cgroup.procs" || kill -0 "$process" 2>/dev/null || true; done
  share_out "$top"
}

# Moves this shell into a cgroup.
enter_cgroup() {
  local hierarchy
  for hierarchy in $(hierarchies); do echo $BASHPID >"$(cgroup "$hierarchy")/$1/cgroup.procs"; done
}

# Repeats a command until it succeeds.
until_done() {
  local attempt
  for attempt in $(seq 1200); do "$@" >/dev/null 2>&1 && return 0; sleep .1; done
  echo "in vain: $*" >&2
  return 1
}
