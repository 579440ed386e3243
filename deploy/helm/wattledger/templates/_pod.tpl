{{/* The parts of the agent's pod that are long: environment, mounts, volumes, probes. */}}

{{- define "wattledger.env" -}}
{{- $v := .Values -}}
# The node's name, for a pod's own dies with the pod.
- {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
# The pod's own address, and no other.
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
{{- $own := ternary "[$(POD_IP)]" "$(POD_IP)" (eq $v.listen.ipFamily "IPv6") }}
- {name: WATTLEDGER_AGENT_LISTEN, value: {{ printf "%s:%d" $own (int64 $v.listen.port) | quote }}}
{{- if $v.sources.nvml.enabled }}
- {name: NVIDIA_VISIBLE_DEVICES, value: {{ $v.sources.nvml.visibleDevices | quote }}}
- {name: NVIDIA_DRIVER_CAPABILITIES, value: utility}
{{- end }}
{{- if and $v.sources.kubernetes.enabled $v.sources.kubernetes.podList.enabled }}
{{- $kubelet := ternary "https://[$(HOST_IP)]:10250/pods" "https://$(HOST_IP):10250/pods" (eq $v.listen.ipFamily "IPv6") }}
- {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
- {name: WATTLEDGER_SOURCES_KUBERNETES_PODS_URL, value: {{ $kubelet | quote }}}
{{- if $v.sources.engines.pods }}
- {name: WATTLEDGER_SOURCES_ENGINES_PODS_URL, value: {{ $kubelet | quote }}}
{{- end }}
{{- end }}
{{- range $name, $secret := $v.gridKeys }}
- {name: {{ $name }}, valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}}}
{{- end }}
{{- if $v.otlp.enabled }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $v.otlp.endpoint | quote }}}
- {name: OTEL_EXPORTER_OTLP_PROTOCOL, value: {{ $v.otlp.protocol }}}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: {{ list "k8s.node.name=$(NODE_NAME)" $v.otlp.resourceAttributes | compact | join "," | quote }}}
{{- if $v.otlp.headersSecret.name }}
- {name: OTEL_EXPORTER_OTLP_HEADERS, valueFrom: {secretKeyRef: {name: {{ $v.otlp.headersSecret.name }}, key: {{ $v.otlp.headersSecret.key }}}}}
{{- end }}
{{- end }}
{{- with $v.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "wattledger.mounts" -}}
{{- $v := .Values -}}
- {name: config, mountPath: /etc/wattledger/wattledger.toml, subPath: wattledger.toml, readOnly: true}
- {name: scratch, mountPath: /tmp}
- {name: state, mountPath: /var/lib/wattledger}
- {name: proc, mountPath: /host/proc, readOnly: true, recursiveReadOnly: IfPossible}
- {name: sys, mountPath: /host/sys, readOnly: true, recursiveReadOnly: IfPossible}
# Once more by itself: where the line above cannot be recursive, this keeps control groups from being written.
- {name: cgroup, mountPath: /host/sys/fs/cgroup, readOnly: true, recursiveReadOnly: IfPossible}
{{- if $v.sources.kubernetes.enabled }}
{{- if $v.sources.kubernetes.logs }}
- {name: pod-logs, mountPath: /host/log/pods, readOnly: true}
- {name: container-logs, mountPath: /host/log/containers, readOnly: true}
{{- end }}
{{- if $v.sources.kubernetes.podResources }}
- {name: pod-resources, mountPath: /host/pod-resources, readOnly: true}
{{- end }}
{{- end }}
{{- if $v.socket.enabled }}
- {name: socket, mountPath: /run/wattledger}
{{- end }}
{{- if $v.web.secretName }}
- {name: web, mountPath: /etc/wattledger/web, readOnly: true}
{{- end }}
{{- if $v.sources.redfish.passwordSecret.name }}
- {name: redfish, mountPath: /etc/wattledger/redfish, readOnly: true}
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "wattledger.volumes" -}}
{{- $v := .Values -}}
- {name: config, configMap: {name: {{ include "wattledger.fullname" . }}}}
- {name: scratch, emptyDir: {sizeLimit: 64Mi}}
{{- if eq $v.state.type "hostPath" }}
- {name: state, hostPath: {path: {{ $v.state.hostPath }}, type: DirectoryOrCreate}}
{{- else }}
- {name: state, emptyDir: {sizeLimit: {{ $v.state.sizeLimit }}}}
{{- end }}
- {name: proc, hostPath: {path: /proc, type: Directory}}
- {name: sys, hostPath: {path: /sys, type: Directory}}
- {name: cgroup, hostPath: {path: /sys/fs/cgroup, type: Directory}}
{{- if $v.sources.kubernetes.enabled }}
{{- if $v.sources.kubernetes.logs }}
- {name: pod-logs, hostPath: {path: /var/log/pods, type: Directory}}
- {name: container-logs, hostPath: {path: /var/log/containers, type: Directory}}
{{- end }}
{{- if $v.sources.kubernetes.podResources }}
- {name: pod-resources, hostPath: {path: {{ $v.sources.kubernetes.kubeletPath }}/pod-resources, type: Directory}}
{{- end }}
{{- end }}
{{- if $v.socket.enabled }}
- {name: socket, hostPath: {path: {{ $v.socket.hostPath }}, type: DirectoryOrCreate}}
{{- end }}
{{- if $v.web.secretName }}
- {name: web, secret: {secretName: {{ $v.web.secretName }}, defaultMode: 0440}}
{{- end }}
{{- if $v.sources.redfish.passwordSecret.name }}
- name: redfish
  secret:
    secretName: {{ $v.sources.redfish.passwordSecret.name }}
    defaultMode: 0440
    items: [{key: {{ $v.sources.redfish.passwordSecret.key }}, path: password}]
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Behind users or client certificates a kubelet has no name: then it only connects. */}}
{{- define "wattledger.probe" -}}
{{- if .root.Values.web.guarded -}}
tcpSocket: {port: metrics}
{{- else -}}
httpGet: {path: {{ .path }}, port: metrics, scheme: {{ ternary "HTTPS" "HTTP" .root.Values.web.tls }}}
{{- end }}
{{ toYaml .times }}
{{- end -}}
