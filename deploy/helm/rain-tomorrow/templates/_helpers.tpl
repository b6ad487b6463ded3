{{- define "rain.image" -}}
{{- $digest := get .root.Values.images.digests .group -}}
{{- if $digest -}}
{{ .root.Values.images.registry }}/{{ .group }}@{{ $digest }}
{{- else -}}
{{ .root.Values.images.registry }}/{{ .group }}:{{ .root.Values.images.tag }}
{{- end -}}
{{- end -}}

{{- define "rain.name" -}}
{{- printf "%s-%s" .root.Release.Name .part | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "rain.selector" -}}
app.kubernetes.io/name: rain-tomorrow
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "rain.labels" -}}
{{ include "rain.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "rain.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "rain.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "rain.environment" -}}
- configMapRef: {name: {{ include "rain.name" (dict "root" .root "part" "settings") }}}
{{- end -}}

{{/* Of the Secret what this program reads: keys, VARIABLE=KEY, and with ? those that need not be there. */}}
{{- define "rain.secrets" -}}
{{- range .names }}
{{- $optional := hasSuffix "?" . }}
{{- $pair := splitList "=" (trimSuffix "?" .) }}
- name: {{ first $pair }}
  valueFrom: {secretKeyRef: {name: {{ $.root.Values.secrets.name }}, key: {{ last $pair }}{{ if $optional }}, optional: true{{ end }}}}
{{- end }}
{{- end -}}

{{- define "rain.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "rain.selector" . | nindent 6 }}
{{- end -}}

{{- define "rain.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}
