#!/bin/sh
# Pins another Kubernetes version: `./set-version.sh 1.35.4` rewrites go.mod and go.sum, here or in the folder of a second argument.
# The etcd that Kubernetes release is tested with comes along, and so does its list of staging modules.
set -eu

version=${1:?usage: ./set-version.sh VERSION [FOLDER], such as 1.36.3}
staging=v0.${version#*.}
cd "${2:-$(dirname "$0")}"

# Outside any module, so that the go.mod being replaced has no say in it.
download=$(cd / && go mod download -json "k8s.io/kubernetes@v$version")
upstream=$(printf '%s\n' "$download" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
etcd=$(awk '$1 == "go.etcd.io/etcd/server/v3" { print $2 }' "$upstream")

rm -f go.sum
{
    printf '// Written by set-version.sh: the tools of the test control plane, and no Go source of its own.\n'
    printf 'module control-plane\n\n'
    awk '$1 == "go" || $1 == "godebug" { print; print "" }' "$upstream"
    printf '// The modules that Kubernetes keeps in its own tree are published at matching versions.\nreplace (\n'
    awk -v staging="$staging" '$2 == "=>" && $3 ~ /^\.\/staging\// { print "\t" $1 " => " $1 " " staging }' "$upstream"
    printf ')\n'
} >go.mod

# One call with a version on each: on its own, `go get` takes the newest and stops on a conflict.
go get -tool \
    "k8s.io/kubernetes/cmd/kube-apiserver@v$version" \
    "k8s.io/kubernetes/cmd/kube-controller-manager@v$version" \
    "k8s.io/kubernetes/cmd/kubectl@v$version" \
    "go.etcd.io/etcd/server/v3@$etcd"
