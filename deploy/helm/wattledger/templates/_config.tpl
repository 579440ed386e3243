{{/* wattledger.toml: what the chart knows, and over it what the operator said (values.config). */}}

{{- define "wattledger.config" -}}
{{- $v := .Values -}}
{{- $sources := dict
  "rapl" (dict "enabled" $v.sources.rapl.enabled)
  "nvml" (dict "enabled" $v.sources.nvml.enabled)
  "cgroup" (dict "enabled" $v.sources.cgroup.enabled
    "cycles" (ternary "auto" "off" $v.sources.cgroup.cycles) "environ" $v.sources.cgroup.environ)
  "kubernetes" (dict "enabled" $v.sources.kubernetes.enabled
    "podresources" (ternary "/host/pod-resources/kubelet.sock" "" (and $v.sources.kubernetes.enabled $v.sources.kubernetes.podResources))
    "logs" (ternary "/host/log" "" (and $v.sources.kubernetes.enabled $v.sources.kubernetes.logs)))
  "ipmi" (dict "enabled" false)
-}}
{{- $list := $v.sources.kubernetes.podList -}}
{{- if $list.enabled }}{{ $_ := set $sources "kubernetes" (merge $sources.kubernetes (dict "ca_file" $list.caFile "verify" $list.verify)) }}{{ end -}}
{{- if or $v.sources.engines.urls $v.sources.engines.pods -}}
{{- $engines := dict "urls" $v.sources.engines.urls "discover" (ternary "pods" "off" $v.sources.engines.pods) -}}
{{- if $v.sources.engines.pods }}{{ $engines = merge $engines (dict "ca_file" $list.caFile "verify" $list.verify) }}{{ end -}}
{{- $_ := set $sources "engines" $engines -}}
{{- end -}}
{{- with $v.sources.redfish }}{{ if .url -}}
{{- $redfish := dict "url" .url -}}
{{- if .user }}{{ $_ := set $redfish "user" .user }}{{ end -}}
{{- if .passwordSecret.name }}{{ $_ := set $redfish "password_file" "/etc/wattledger/redfish/password" }}{{ end -}}
{{- $_ := set $sources "redfish" $redfish -}}
{{- end }}{{ end -}}
{{- $agent := dict "state" "/var/lib/wattledger" "socket" (ternary "/run/wattledger/agent.sock" "" $v.socket.enabled) -}}
{{- if $v.web.secretName }}{{ $_ := set $agent "web_config" "/etc/wattledger/web/web.yml" }}{{ end -}}
{{- $ours := dict "paths" (dict "sysfs" "/host/sys" "procfs" "/host/proc") "agent" $agent "sources" $sources -}}
{{- if $v.otlp.enabled }}{{ $_ := set $ours "exporters" (dict "otlp" (dict "enabled" true)) }}{{ end -}}
{{- include "wattledger.toml" (dict "in" "" "of" (mergeOverwrite $ours (deepCopy $v.config))) -}}
{{- end -}}

{{/* A section with its values, then the sections inside it.  Whole numbers are written as such: YAML reads 1000 as 1000.0.  A JSON text is
a TOML text. */}}
{{- define "wattledger.toml" -}}
{{- $in := .in -}}
{{- $of := .of -}}
{{- $here := list -}}
{{- range $key, $value := $of -}}
{{- if kindIs "map" $value }}{{ continue }}{{ end -}}
{{- if kindIs "invalid" $value }}{{ continue }}{{ end -}}
{{- $text := toJson $value -}}
{{- if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ $text = printf "%d" (int64 $value) }}{{ end }}{{ end -}}
{{- $here = append $here (printf "%s = %s" $key $text) -}}
{{- end -}}
{{- if $here }}
{{ if $in }}[{{ $in }}]
{{ end }}{{ join "\n" $here }}
{{ end -}}
{{- range $key, $value := $of -}}
{{- if kindIs "map" $value -}}
{{- include "wattledger.toml" (dict "in" (ternary (printf "%s.%s" $in $key) $key (ne $in "")) "of" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
