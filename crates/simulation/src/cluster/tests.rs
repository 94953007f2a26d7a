//! Each behaviour, as it was seen on kube-apiserver 1.36.
