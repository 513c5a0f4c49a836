{{- /* What the pods of all components have in common. Each takes { root, component }. */ -}}

{{- /* Variables of both stores and of the process. Secrets come by reference only. */ -}}
{{- define "edge-migration.env" -}}
{{- $values := .root.Values -}}
{{- $optional := .optionalSecrets | default false -}}
{{ include "edge-migration.coreEnv" . }}
{{- with $values.dynamodb }}
{{- if .region }}
- { name: EDGE_MIGRATION_DYNAMODB_REGION, value: {{ .region | quote }} }
{{- end }}
{{- if .endpoint }}
- { name: EDGE_MIGRATION_DYNAMODB_ENDPOINT, value: {{ .endpoint | quote }} }
{{- end }}
{{- if .regionEndpoints }}
{{- $pairs := list }}
{{- range $region, $url := .regionEndpoints }}{{ $pairs = append $pairs (printf "%s=%s" $region $url) }}{{ end }}
- { name: EDGE_MIGRATION_DYNAMODB_REGION_ENDPOINTS, value: {{ join "," $pairs | quote }} }
{{- end }}
{{- if .otherRegions }}
- { name: EDGE_MIGRATION_DYNAMODB_OTHER_REGIONS, value: {{ join "," .otherRegions | quote }} }
{{- end }}
{{- /* There is none with `helm upgrade --reuse-values` from a release that did not know it. */}}
{{- with .failover }}
- { name: EDGE_MIGRATION_FAILOVER_AFTER_SECONDS, value: {{ .afterSeconds | quote }} }
- { name: EDGE_MIGRATION_FAILOVER_RETURN_SECONDS, value: {{ .returnSeconds | quote }} }
{{- end }}
- { name: EDGE_MIGRATION_REPLICATION_LAG_SECONDS, value: {{ .replicationLagSeconds | quote }} }
- { name: EDGE_MIGRATION_IDENTITIES_TABLE, value: {{ .identitiesTable | quote }} }
{{- if .environmentsV2Table }}
- { name: EDGE_MIGRATION_ENVIRONMENTS_V2_TABLE, value: {{ .environmentsV2Table | quote }} }
{{- end }}
{{- if .projectMetadataTable }}
- { name: EDGE_MIGRATION_PROJECT_METADATA_TABLE, value: {{ .projectMetadataTable | quote }} }
{{- end }}
{{- if .environmentsTable }}
- { name: EDGE_MIGRATION_ENVIRONMENTS_TABLE, value: {{ .environmentsTable | quote }} }
{{- end }}
{{- if .environmentsApiKeyTable }}
- { name: EDGE_MIGRATION_ENVIRONMENTS_API_KEY_TABLE, value: {{ .environmentsApiKeyTable | quote }} }
{{- end }}
{{- if .existingSecret }}
{{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $name }}
  valueFrom: { secretKeyRef: { name: {{ $values.dynamodb.existingSecret }}, key: {{ $name }}{{ if $optional }}, optional: true{{ end }} } }
{{- end }}
{{- end }}
{{- end }}
{{- include "edge-migration.furtherEnv" . }}
{{- end }}

{{- /* Of Core and the log. */ -}}
{{- define "edge-migration.coreEnv" -}}
{{- $values := .root.Values -}}
{{- $optional := .optionalSecrets | default false -}}
- { name: EDGE_MIGRATION_LOG_LEVEL, value: {{ $values.logLevel }} }
- name: EDGE_MIGRATION_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $values.database.existingSecret.name }}
      key: {{ $values.database.existingSecret.key }}
      {{- if $optional }}
      optional: true
      {{- end }}
{{- with $values.database.tls }}
{{- if .existingSecret }}
- { name: EDGE_MIGRATION_DATABASE_CA_FILE, value: {{ printf "/etc/edge-migration/database/%s" .caKey | quote }} }
{{- if .certificateKey }}
- { name: EDGE_MIGRATION_DATABASE_CERTIFICATE_FILE, value: {{ printf "/etc/edge-migration/database/%s" .certificateKey | quote }} }
- { name: EDGE_MIGRATION_DATABASE_KEY_FILE, value: {{ printf "/etc/edge-migration/database/%s" .privateKeyKey | quote }} }
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Of the installation, and what the values add; begins with a line end where there is any. */ -}}
{{- define "edge-migration.furtherEnv" -}}
{{- $values := .root.Values -}}
{{- if $values.extraCaCertificates.configMap }}
- { name: NODE_EXTRA_CA_CERTS, value: {{ printf "/etc/edge-migration/ca/%s" $values.extraCaCertificates.key | quote }} }
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- with (index $values .component).extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "edge-migration.natsEnv" -}}
{{- $nats := .root.Values.nats -}}
- { name: EDGE_MIGRATION_NATS_SERVERS, value: {{ include "edge-migration.natsServers" .root | quote }} }
{{- $role := .component }}
{{- if $nats.bundled.enabled }}
- { name: EDGE_MIGRATION_NATS_USER, value: {{ $role }} }
- { name: EDGE_MIGRATION_NATS_PASSWORD_FILE, value: /etc/edge-migration/nats/{{ $role }} }
{{- end }}
{{- with $nats.credentials }}
{{- if .existingSecret }}
{{- $file := printf "/etc/edge-migration/nats/%s" (index . $role).key | quote }}
{{- if eq .type "creds" }}
- { name: EDGE_MIGRATION_NATS_CREDENTIALS_FILE, value: {{ $file }} }
{{- else if eq .type "nkey" }}
- { name: EDGE_MIGRATION_NATS_NKEY_FILE, value: {{ $file }} }
{{- else }}
- { name: EDGE_MIGRATION_NATS_USER, value: {{ (index . $role).user | quote }} }
- { name: EDGE_MIGRATION_NATS_PASSWORD_FILE, value: {{ $file }} }
{{- end }}
{{- end }}
{{- end }}
{{- with $nats.tls }}
{{- if .existingSecret }}
- { name: EDGE_MIGRATION_NATS_CA_FILE, value: {{ printf "/etc/edge-migration/nats-tls/%s" .caKey | quote }} }
{{- if .certificateKey }}
- { name: EDGE_MIGRATION_NATS_CERTIFICATE_FILE, value: {{ printf "/etc/edge-migration/nats-tls/%s" .certificateKey | quote }} }
- { name: EDGE_MIGRATION_NATS_KEY_FILE, value: {{ printf "/etc/edge-migration/nats-tls/%s" .privateKeyKey | quote }} }
{{- end }}
{{- end }}
{{- if .first }}
- { name: EDGE_MIGRATION_NATS_TLS_FIRST, value: "true" }
{{- end }}
{{- end }}
{{- end }}

{{- /* Name, namespace and address of the pod, for processes that serve metrics. */ -}}
{{- define "edge-migration.podEnv" -}}
- { name: EDGE_MIGRATION_INSTANCE, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: EDGE_MIGRATION_METRICS_HOST, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
{{- end }}

{{- define "edge-migration.volumeMounts" -}}
{{- $values := .root.Values -}}
{{- if $values.database.tls.existingSecret }}
- { name: database-tls, mountPath: /etc/edge-migration/database, readOnly: true }
{{- end }}
{{- if $values.extraCaCertificates.configMap }}
- { name: extra-ca, mountPath: /etc/edge-migration/ca, readOnly: true }
{{- end }}
{{- if .nats }}
{{- if or $values.nats.bundled.enabled $values.nats.credentials.existingSecret }}
- { name: nats, mountPath: /etc/edge-migration/nats, readOnly: true }
{{- end }}
{{- if $values.nats.tls.existingSecret }}
- { name: nats-tls, mountPath: /etc/edge-migration/nats-tls, readOnly: true }
{{- end }}
{{- end }}
{{- end }}

{{- /* 288 is 0440: the pod's group may read. */ -}}
{{- define "edge-migration.volumes" -}}
{{- $values := .root.Values -}}
{{- $optional := .optionalSecrets | default false -}}
{{- $secrets := dict -}}
{{- if $values.database.tls.existingSecret }}{{ $_ := set $secrets "database-tls" $values.database.tls.existingSecret }}{{ end -}}
{{- if and .nats $values.nats.tls.existingSecret }}{{ $_ := set $secrets "nats-tls" $values.nats.tls.existingSecret }}{{ end -}}
{{- range $name, $secret := $secrets }}
- { name: {{ $name }}, secret: { secretName: {{ $secret }}, defaultMode: 288{{ if $optional }}, optional: true{{ end }} } }
{{- end }}
{{- if .nats }}
{{- $role := .component }}
{{- with $values.nats.credentials }}
{{- $bundled := $values.nats.bundled.enabled }}
{{- if or $bundled .existingSecret }}
{{- /* Of this role alone. */}}
{{- $name := ternary (include "edge-migration.natsUsersSecret" $.root) .existingSecret $bundled }}
{{- $key := ternary $role (index . $role).key $bundled }}
- { name: nats, secret: { secretName: {{ $name }}, defaultMode: 288, items: [{ key: {{ $key }}, path: {{ $key }} }]{{ if $optional }}, optional: true{{ end }} } }
{{- end }}
{{- end }}
{{- end }}
{{- if $values.extraCaCertificates.configMap }}
- { name: extra-ca, configMap: { name: {{ $values.extraCaCertificates.configMap }} } }
{{- end }}
{{- end }}

{{- /* Where and with which rights pods run. */ -}}
{{- define "edge-migration.podSpec" -}}
{{- $values := .root.Values -}}
enableServiceLinks: false
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "edge-migration.topologySpread" -}}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "edge-migration.selectorLabels" $ | nindent 8 }}
  {{- end }}
{{- end }}
