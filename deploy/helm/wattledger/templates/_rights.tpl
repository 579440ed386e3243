{{/* Which rights the sources that are switched on ask for.  Each helper gives a JSON list of reasons, "source: why", and an empty list
asks for nothing.  values.yaml explains each where it is switched on, README.md has the table. */}}

{{- define "wattledger.hostPID" -}}
{{- $why := list -}}
{{- with .Values.sources -}}
{{- if and .nvml.enabled .nvml.processes -}}
  {{- $why = append $why "nvml.processes: the driver names GPU processes by the host's numbers" -}}
{{- end -}}
{{- if and .cgroup.enabled .cgroup.processes -}}
  {{- $why = append $why "cgroup.processes: control groups list processes by the reader's numbers" -}}
{{- end -}}
{{- if and .cgroup.enabled .cgroup.environ -}}
  {{- $why = append $why "cgroup.environ: processes are found by the host's numbers" -}}
{{- end -}}
{{- end -}}
{{- if .Values.socket.enabled -}}
  {{- $why = append $why "socket: the kernel names the program at the other end by its number" -}}
{{- end -}}
{{- toJson $why -}}
{{- end -}}

{{- define "wattledger.capabilities" -}}
{{- $found := dict -}}
{{- with .Values.sources.cgroup -}}
{{- if and .enabled .cycles -}}
  {{- $_ := set $found "PERFMON" "cgroup.cycles: perf_event_open over all control groups" -}}
{{- end -}}
{{- if and .enabled .environ -}}
  {{- $_ := set $found "SYS_PTRACE" "cgroup.environ: the environment of other users' processes" -}}
  {{- $_ := set $found "DAC_READ_SEARCH" "cgroup.environ: those files are their owners' alone" -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "wattledger.root" -}}
{{- $why := list -}}
{{- with .Values.sources -}}
{{- if and .rapl.enabled (eq (toString .rapl.group) "<nil>") -}}
  {{- $why = append $why "rapl: energy_uj is root's alone, and no group was given it" -}}
{{- end -}}
{{- if and .kubernetes.enabled .kubernetes.podResources -}}
  {{- $why = append $why "kubernetes.podResources: the kubelet's socket is root's alone" -}}
{{- end -}}
{{- end -}}
{{- range $name, $reason := include "wattledger.capabilities" . | fromJson -}}
  {{- $why = append $why (printf "%s (added capabilities reach uid 0 only)" $reason) -}}
{{- end -}}
{{- if .Values.socket.enabled -}}
  {{- $why = append $why "socket: the folder is root's" -}}
{{- end -}}
{{- toJson $why -}}
{{- end -}}

{{- define "wattledger.uid" -}}
{{- if not (eq (toString .Values.security.runAsUser) "<nil>") -}}
{{- int64 .Values.security.runAsUser -}}
{{- else -}}
{{- ternary 0 65532 (gt (len (include "wattledger.root" . | fromJsonArray)) 0) -}}
{{- end -}}
{{- end -}}

{{- define "wattledger.gid" -}}
{{- if not (eq (toString .Values.security.runAsGroup) "<nil>") -}}
{{- int64 .Values.security.runAsGroup -}}
{{- else -}}
{{- include "wattledger.uid" . -}}
{{- end -}}
{{- end -}}

{{/* One line for the annotation: what was asked for, and by whom. */}}
{{- define "wattledger.rights" -}}
{{- $said := list -}}
{{- range include "wattledger.hostPID" . | fromJsonArray -}}
  {{- $said = append $said (printf "hostPID (%s)" .) -}}
{{- end -}}
{{- range $name, $reason := include "wattledger.capabilities" . | fromJson -}}
  {{- $said = append $said (printf "CAP_%s (%s)" $name $reason) -}}
{{- end -}}
{{- if eq (include "wattledger.uid" .) "0" -}}
{{- range include "wattledger.root" . | fromJsonArray -}}
  {{- $said = append $said (printf "uid 0 (%s)" .) -}}
{{- end -}}
{{- end -}}
{{- if .Values.security.hostNetwork -}}
  {{- $said = append $said "hostNetwork (security.hostNetwork)" -}}
{{- end -}}
{{- if .Values.sources.kubernetes.podList.enabled -}}
  {{- $said = append $said (printf "get %s (kubernetes.podList)" (include "wattledger.podListRight" .)) -}}
{{- end -}}
{{- join "; " $said | default "none" -}}
{{- end -}}

{{- define "wattledger.podListRight" -}}
{{- $asked := .Values.sources.kubernetes.podList.right -}}
{{- if ne $asked "auto" -}}
{{- $asked -}}
{{- else -}}
{{- ternary "nodes/pods" "nodes/proxy" (semverCompare ">=1.33-0" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}

{{/* Words that contradict each other, said before anything is installed. */}}
{{- define "wattledger.check" -}}
{{- $v := .Values -}}
{{- $list := and $v.sources.kubernetes.enabled $v.sources.kubernetes.podList.enabled -}}
{{- $capabilities := include "wattledger.capabilities" . | fromJson -}}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor would scrape every agent twice: enable one of them" -}}
{{- end -}}
{{- if and $capabilities (ne (include "wattledger.uid" .) "0") -}}
{{- fail (printf "security.runAsUser is not 0, and Kubernetes gives added capabilities (%s) to uid 0 only: %s"
  (keys $capabilities | sortAlpha | join ", ") "switch sources.cgroup.cycles and .environ off, or leave runAsUser empty") -}}
{{- end -}}
{{- if and $v.sources.engines.pods (not $list) -}}
{{- fail "sources.engines.pods finds annotated pods in the kubelet's list: enable sources.kubernetes.podList" -}}
{{- end -}}
{{- if and $v.sources.redfish.user (not $v.sources.redfish.passwordSecret.name) -}}
{{- fail "sources.redfish.user needs sources.redfish.passwordSecret.name: a Secret with the password" -}}
{{- end -}}
{{- if and (or $v.web.tls $v.web.guarded) (not $v.web.secretName) -}}
{{- fail "web.tls and web.guarded speak of the file in web.secretName: name that Secret" -}}
{{- end -}}
{{- end -}}
