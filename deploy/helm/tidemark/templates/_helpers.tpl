{{/* The parts of this release: those of values on Kafka, else one that is the whole. */}}
{{- define "tidemark.groups" -}}
{{- if .Values.kafka.brokers -}}
{{ toYaml .Values.groups }}
{{- else -}}
{{ toYaml (dict "single" .Values.single) }}
{{- end -}}
{{- end -}}

{{- define "tidemark.labels" -}}
app.kubernetes.io/name: tidemark
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "tidemark.selector" -}}
app.kubernetes.io/name: tidemark
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "tidemark.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{/* What is allowed to a container: nothing that the service does not need. */}}
{{- define "tidemark.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* User 1000 is `node` in the image; the group may read the secrets and write the volume. */}}
{{- define "tidemark.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Settings that all processes of a release share. A secret is a path. */}}
{{- define "tidemark.env" -}}
- name: TIDEMARK_DATA
  value: /data
{{- with .Values.kafka.brokers }}
- name: KAFKA_BROKERS
  value: {{ . | quote }}
{{- end }}
{{- if .Values.cassandra.hosts }}
- name: CASSANDRA_HOSTS
  value: {{ .Values.cassandra.hosts | quote }}
- name: CASSANDRA_DC
  value: {{ .Values.cassandra.datacenter | quote }}
- name: CASSANDRA_KEYSPACE
  value: {{ .Values.cassandra.keyspace | quote }}
{{- end }}
{{- if .Values.influx.url }}
- name: INFLUX_URL
  value: {{ .Values.influx.url | quote }}
- name: INFLUX_ORG
  value: {{ .Values.influx.org | quote }}
{{- end }}
{{- range .Values.secret.settings }}
- name: {{ . }}_FILE
  value: /run/secrets/tidemark/{{ . }}
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "tidemark.mounts" -}}
- name: data
  mountPath: /data
- name: tmp
  mountPath: /tmp
{{- if .Values.secret.settings }}
- name: secrets
  mountPath: /run/secrets/tidemark
  readOnly: true
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidemark.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if .Values.secret.settings }}
- name: secrets
  secret:
    secretName: {{ required "secret.settings names keys: secret.name must say of which Secret" .Values.secret.name }}
    # 0440, for its group is ours.
    defaultMode: 288
    items:
      {{- range .Values.secret.settings }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
