{{- define "nsq-cluster.name" -}}
{{- .Values.name | default .Release.Name -}}
{{- end -}}

{{- define "nsq-cluster.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Object of a list of names, the cluster's first. Names of NSQ that Kubernetes does not take are told apart by a hash. */}}
{{- define "nsq-cluster.object" -}}
{{- $name := join "." . -}}
{{- $plain := true -}}
{{- range . }}{{ $plain = and $plain (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" .) }}{{ end -}}
{{- if $plain }}{{ $name }}
{{- else }}{{ regexReplaceAll "[^a-z0-9]+" (lower $name) "-" | trimSuffix "-" }}-{{ join "/" . | sha256sum | trunc 8 }}
{{- end -}}
{{- end -}}

{{/* What NsqTopic and NsqChannel have in common. */}}
{{- define "nsq-cluster.member" -}}
{{- toYaml (pick . "name" "paused" "policy" "deletionPolicy") -}}
{{- end -}}

{{/* Account of nsqadmin, where it shows the NsqCluster. */}}
{{- define "nsq-cluster.account" -}}
{{- dig "admin" "serviceAccountName" (printf "%s-admin-view" (include "nsq-cluster.name" .)) .Values.spec -}}
{{- end -}}

{{/* HTTP addresses of the nsqlookupds. The numbers of a spec without them are the defaults of its definition. */}}
{{- define "nsq-cluster.lookupds" -}}
{{- $root := . -}}
{{- range $index := until (dig "lookupd" "replicas" 2 .Values.spec | int) }}
{{ include "nsq-cluster.host" (list $root (printf "nsqlookupd-%d" $index)) }}:4161
{{- end -}}
{{- end -}}

{{/* DNS name of a Service, of the values and its ending. */}}
{{- define "nsq-cluster.host" -}}
{{- $root := first . -}}
{{- include "nsq-cluster.name" $root }}-{{ last . }}.{{ $root.Release.Namespace }}.svc.{{ $root.Values.spec.clusterDomain | default "cluster.local" }}
{{- end -}}
