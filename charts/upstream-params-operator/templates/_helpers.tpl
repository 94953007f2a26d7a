{{/* The name of what is installed, unless it is one of several. */}}
{{- define "upo.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name in front of all others. 52 characters leave room for what follows, and a Service's name has no dots. */}}
{{- define "upo.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "upo.name" .) .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "upo.name" .) | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What never changes between versions: the selector of a Deployment is immutable. */}}
{{- define "upo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "upo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "upo.labels" -}}
{{ include "upo.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/*
The metadata of an object: root, name, and where they apply labels, annotations, namespace, and cluster for what has no
namespace.
*/}}
{{- define "upo.metadata" -}}
{{- $labels := merge (dict) (.labels | default dict) (include "upo.labels" .root | fromYaml) (.root.Values.commonLabels | default dict) -}}
{{- $annotations := merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) -}}
metadata:
  name: {{ .name }}
  {{- if not .cluster }}
  namespace: {{ .namespace | default .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- toYaml $labels | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The metadata of a definition, but for its name. */}}
{{- define "upo.crdMetadata" -}}
{{- $annotations := merge (dict) (.Values.crds.annotations | default dict) (.Values.commonAnnotations | default dict) -}}
{{- if .Values.crds.keep -}}
{{- /* Helm heeds the first on uninstall; Argo CD's prune heeds the second only, beside whatever else is asked of it. */ -}}
{{- $_ := set $annotations "helm.sh/resource-policy" "keep" -}}
{{- $options := get $annotations "argocd.argoproj.io/sync-options" -}}
{{- if not (regexMatch "(^|,) *Prune=" $options) -}}
{{- $_ := set $annotations "argocd.argoproj.io/sync-options" (printf "Prune=false,%s" $options | trimSuffix ",") -}}
{{- end -}}
{{- end -}}
labels:
  {{- toYaml (merge (dict) (include "upo.labels" . | fromYaml) (.Values.commonLabels | default dict)) | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "upo.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "upo.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | required "serviceAccount.name: name the service account to use, or let serviceAccount.create make one" -}}
{{- end -}}
{{- end -}}

{{- define "upo.image" -}}
{{- $tag := tpl (.Values.image.tag | default "") . -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else if $tag -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- else -}}
{{- fail "image: neither image.tag nor image.digest is set, so nobody could say what runs: set one" -}}
{{- end -}}
{{- end -}}

{{/* The rights on UpstreamParams, wherever they are served. A test compares them with what is used. */}}
{{- define "upo.objectRules" -}}
- apiGroups: [upstreamparams.dev]
  resources: [upstreamparams]
  verbs: [list, watch, patch] # patch: the finalizer
- apiGroups: [upstreamparams.dev]
  resources: [upstreamparams/status]
  verbs: [update]
{{ include "upo.eventRules" . }}
{{- end -}}

{{- define "upo.eventRules" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch] # patch: one that comes again is counted
{{- end -}}

{{- define "upo.subjects" -}}
subjects:
- kind: ServiceAccount
  name: {{ include "upo.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* Whether an object of the Prometheus operator is rendered: root, and value, the name of its value. */}}
{{- define "upo.monitoring" -}}
{{- $value := get .root.Values .value -}}
{{- $known := .root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}
{{- if $value.enabled -}}
{{- if or $known (eq $value.renderMode "alwaysRender") -}}
true
{{- else if eq $value.renderMode "failIfMissing" -}}
{{- fail (printf "%s: the cluster does not have monitoring.coreos.com/v1: install the Prometheus operator, or set %s.renderMode" .value .value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
