#!/bin/bash
# Installs what the test bed needs, and does nothing where it is there already:
# Debian's packages, and programs built from Go modules (kubernetes/go.mod fixes the
# versions). Prints the versions. Needs root, Go, gcc.
#
#   install.sh            everything
#   install.sh --path     print the folder of the programs, for PATH
#
# TESTBED_CACHE: where the programs go (default ~/.cache/nsq-testbed, 220 MB).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "${1:-}" != --path ] || { echo "$bin"; exit; }
[ $# -eq 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2; }

mkdir -p "$bin" "$cache/images"
exec 9>"$cache/lock"
flock 9

packages=()
for package in containerd runc containernetworking-plugins iptables iproute2 procps socat jq curl openssl; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || packages+=("$package")
done
if [ ${#packages[@]} -gt 0 ]; then
    say "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } >"$cache/apt.log" 2>&1 9>&- ||
        die "apt-get failed; see $cache/apt.log"
fi

cd "$here/kubernetes"
stamp=$( (go version; cat go.mod go.sum ./*.go pause/*; cat "$here/install.sh" "$here/image.sh") | sha256sum)
if [ "$stamp" != "$(cat "$cache/stamp" 2>/dev/null)" ]; then
    say "building (5 to 10 minutes and 4 GB of Go's caches where those are empty)"
    rm -f "$cache/stamp"
    version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
    IFS=. read -r major minor _ <<<"${version#v}"
    helm=$(go list -m -f '{{.Version}}' helm.sh/helm/v3)
    at=k8s.io/component-base/version
    # Static, and without debug information: smaller, and linked faster.
    export CGO_ENABLED=0
    go build -o "$bin/kubernetes" -ldflags "-s -w -X $at.gitVersion=$version -X $at.gitMajor=$major -X $at.gitMinor=$minor -X $at.gitTreeState=clean" .
    go build -o "$bin/" -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$helm" tool
    for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl coredns storage-provisioner; do
        ln -sfn kubernetes "$bin/$name"
    done
    gcc -Os -static -s -o "$bin/pause" pause/pause.c
    "$here/image.sh" build "$cache/images/pause.tar" testbed.local/pause:1 "$bin/pause"
    echo "$stamp" >"$cache/stamp"
fi

echo "programs in $bin:"
kube-apiserver --version
etcd --version | sed -n 1p
coredns -version | sed -n 1p
echo "helm $(helm version --short)"
containerd --version
runc --version | sed -n 1p
