{{/* The name of everything: that of the release, with the chart's in it. */}}
{{- define "nsq-operator.name" -}}
{{- $long := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $long | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What a Deployment, a budget or a monitor finds the pods by. */}}
{{- define "nsq-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nsq-operator.labels" -}}
{{ include "nsq-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "nsq-operator.account" -}}
{{- .Values.serviceAccount.name | default (ternary (include "nsq-operator.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* Whom a role is bound to. */}}
{{- define "nsq-operator.subject" -}}
subjects:
- kind: ServiceAccount
  name: {{ include "nsq-operator.account" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
