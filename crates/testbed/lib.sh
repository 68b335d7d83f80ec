# shellcheck shell=bash
# Shared by the scripts in this folder. Sourced, not run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nsq-testbed} # what install.sh builds
state=${TESTBED_DIR:-${TMPDIR:-/tmp}/nsq-testbed}                   # one running cluster
net=${TESTBED_NET:-10.214}                                          # its /16; another cluster needs another
bin=$cache/bin
gateway=$net.0.1      # this machine, as the nodes see it
services=$net.128.0   # /20; the API server is the first address in it
export PATH=$bin:$PATH

say() { echo "testbed: $*" >&2; }
die() { say "$*"; exit 1; }

# One script at a time works on a cluster.
lock() {
    mkdir -p "$state"
    exec 9>"$state/lock"
    flock -w 300 9 || die "another script is busy with $state"
}

# --- processes -------------------------------------------------------------
# $state/run/NAME holds "PID BOOT START": a process is only taken for ours,
# and killed, when it was started in this boot at that very moment.

started_at() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -- ${stat##*) }
    [ "$1" != Z ] && echo "${20}"
}

record() { # NAME PID
    echo "$2 $(cat /proc/sys/kernel/random/boot_id) $(started_at "$2")" >"$state/run/$1"
}

pid_of() { # NAME: prints its pid if it runs
    local pid boot start
    [ -s "$state/run/$1" ] || return 1
    read -r pid boot start <"$state/run/$1"
    [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] && [ "$start" ] && [ "$start" = "$(started_at "$pid")" ] && echo "$pid"
}

start() { # NAME COMMAND...: starts it unless it runs
    local name=$1
    shift
    pid_of "$name" >/dev/null && return
    mkdir -p "$state/run" "$state/log"
    setsid "$@" >>"$state/log/$name.log" 2>&1 </dev/null 9>&- &
    record "$name" $!
}

stop() { # NAME [SIGNAL]: asks it to end, insists after 10 seconds
    local pid i
    if pid=$(pid_of "$1"); then
        kill -s "${2:-TERM}" "$pid" 2>/dev/null || true
        for ((i = 0; i < 100; i++)); do
            pid_of "$1" >/dev/null || break
            sleep 0.1
        done
        pid_of "$1" >/dev/null && kill -s KILL "$pid" && sleep 0.2
    fi
    rm -f "$state/run/$1"
}

wait_for() { # SECONDS WHAT COMMAND...
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || die "no $what in time; see $state/log"
        sleep 0.2
    done
}

# --- things that both levels need -------------------------------------------

free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

token() { # USER: the token of a user, made at first use
    grep -s ",$1,$1," "$state/tokens" | cut -d, -f1
}

kubeconfig() { # FILE USER SERVER
    cat >"$1.new" <<END
apiVersion: v1
kind: Config
clusters:
- name: testbed
  cluster:
    server: $3
    certificate-authority-data: $(base64 -w0 <"$state/pki/ca.crt")
users:
- name: $2
  user: {token: $(token "$2")}
contexts:
- name: testbed
  context: {cluster: testbed, user: "$2", namespace: default}
current-context: testbed
END
    chmod 600 "$1.new"
    mv "$1.new" "$1"
}

admin() { kubectl --kubeconfig "$state/kubeconfig" "$@"; }
