{{/* What the pods of the Deployment and of helm test have in common. */}}

{{/* files: the variables that are mounted, with commas. Other variables than those of secrets, and AWS keys, have none for a file. */}}
{{- define "hubspot-cdc.files" -}}
{{- $files := list }}
{{- range $name, $from := .Values.secrets }}
{{- $mounted := and (eq $.Values.secretsAs "files") (regexMatch "(TOKEN|SECRET|PASSWORD|HASH_KEY)$" $name) (ne $name "AWS_SESSION_TOKEN") }}
{{- if and $from (or $mounted (hasSuffix "_FILE" $name)) }}
{{- $files = append $files $name }}
{{- end }}
{{- end }}
{{- join "," $files }}
{{- end }}

{{- define "hubspot-cdc.pod" -}}
{{- $files := include "hubspot-cdc.files" . | splitList "," | compact -}}
serviceAccountName: {{ include "hubspot-cdc.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if or $files .Values.fleet.enabled .Values.extraVolumes }}
volumes:
  {{- if .Values.fleet.enabled }}
  - name: fleet
    projected:
      defaultMode: 0440
      sources:
        {{- if .Values.fleet.portals }}
        - secret: {name: {{ include "hubspot-cdc.fleetname" . }}}
        {{- end }}
        {{- with .Values.fleet.existingConfigMap }}
        - configMap: {name: {{ quote . }}}
        {{- end }}
        {{- with .Values.fleet.existingSecret }}
        - secret: {name: {{ quote . }}}
        {{- end }}
  {{- end }}
  {{- if $files }}
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        {{- range $name := $files }}
        {{- $from := index $.Values.secrets $name }}
        - secret:
            name: {{ $from.secret | default (include "hubspot-cdc.fullname" $) | quote }}
            items: [{key: {{ $from.key | default $name | quote }}, path: {{ $name }}}]
        {{- end }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "hubspot-cdc.container" -}}
{{- $fullname := include "hubspot-cdc.fullname" . }}
{{- $files := include "hubspot-cdc.files" . | splitList "," | compact }}
{{- $mount := "/run/secrets/hubspot-cdc" -}}
image: {{ required "image is required, with its tag: the repository's Dockerfile builds it" .Values.image | quote }}
imagePullPolicy: {{ .Values.imagePullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - configMapRef: {name: {{ $fullname }}}
env:
  - {name: HTTP_ADDR, value: ":8080"}
  {{- if .Values.fleet.enabled }}
  - {name: FLEET_DIR, value: /run/fleet}
  - name: POD_IP
    valueFrom:
      fieldRef: {fieldPath: status.podIP}
  - {name: FLEET_ADDRESS, value: {{ ternary "[$(POD_IP)]:8080" "$(POD_IP):8080" .Values.fleet.ipv6 | quote }}}
  {{- end }}
  {{- range $name, $from := .Values.secrets }}
  {{- if has $name $files }}
  - name: {{ $name }}{{ if not (hasSuffix "_FILE" $name) }}_FILE{{ end }}
    value: {{ $mount }}/{{ $name }}
  {{- else if $from }}
  - name: {{ $name }}
    valueFrom:
      secretKeyRef: {name: {{ $from.secret | default $fullname | quote }}, key: {{ $from.key | default $name | quote }}}
  {{- end }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- if or $files .Values.fleet.enabled .Values.extraVolumeMounts }}
volumeMounts:
  {{- if .Values.fleet.enabled }}
  # The whole folder: what is mounted with subPath never changes.
  - {name: fleet, mountPath: /run/fleet, readOnly: true}
  {{- end }}
  {{- if $files }}
  - {name: secrets, mountPath: {{ $mount }}, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
