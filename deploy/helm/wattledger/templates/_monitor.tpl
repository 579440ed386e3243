{{/* What ServiceMonitor and PodMonitor have in common.  dict "root" $, "monitor" its values. */}}

{{- define "wattledger.monitorMeta" -}}
name: {{ include "wattledger.fullname" .root }}
namespace: {{ default .root.Release.Namespace .monitor.namespace }}
labels:
  {{- include "wattledger.labels" .root | nindent 2 }}
  {{- with .monitor.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "wattledger.monitorSpec" -}}
# The target's job is "wattledger", which the alert on agents that are down goes by.
jobLabel: app.kubernetes.io/name
namespaceSelector:
  matchNames: [{{ .root.Release.Namespace }}]
selector:
  matchLabels:
    {{- include "wattledger.selector" .root | nindent 4 }}
{{- end -}}

{{- define "wattledger.endpoint" -}}
- port: metrics
  path: /metrics
  scheme: {{ ternary "https" "http" .root.Values.web.tls }}
  interval: {{ .monitor.interval }}
  scrapeTimeout: {{ .monitor.scrapeTimeout }}
  {{- with .monitor.tlsConfig }}
  tlsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .monitor.basicAuth }}
  basicAuth:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .monitor.relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .monitor.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
