//! A real kube-apiserver with etcd.
