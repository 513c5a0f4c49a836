{{- define "edge-migration.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "edge-migration.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "edge-migration.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "edge-migration.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "edge-migration.selectorLabels" -}}
app.kubernetes.io/name: {{ include "edge-migration.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* Takes { root, component }. */ -}}
{{- define "edge-migration.labels" -}}
{{ include "edge-migration.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "edge-migration.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* Takes { root, component }: operator, worker or applier. */ -}}
{{- define "edge-migration.serviceAccountName" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create }}
{{- $account.name | default (printf "%s-%s" (include "edge-migration.fullname" .root) .component) }}
{{- else }}
{{- $account.name | default "default" }}
{{- end }}
{{- end }}

{{- /* EKS Pod Identity: what is left where neither keys nor a role by web identity are given. */ -}}
{{- define "edge-migration.usesPodIdentity" -}}
{{- $root := . }}
{{- if kindIs "bool" .Values.networkPolicy.podIdentity }}
{{- if .Values.networkPolicy.podIdentity }}true{{ end }}
{{- else if not .Values.dynamodb.existingSecret }}
{{- range $component := list "operator" "worker" "applier" }}
{{- if not (hasKey (index $root.Values $component).serviceAccount.annotations "eks.amazonaws.com/role-arn") }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "edge-migration.captures" -}}
{{- if eq .Values.capture.mode "Required" }}true{{ end }}
{{- end }}

{{- define "edge-migration.coreApiNamespace" -}}
{{- .Values.capture.coreApi.namespace | default .Release.Namespace }}
{{- end }}

{{- /* Where the trigger creates EdgeMigrations: a namespace that the operator watches. */ -}}
{{- define "edge-migration.triggerNamespace" -}}
{{- $namespace := .Values.trigger.namespace | default (first .Values.watchNamespaces) | default .Release.Namespace }}
{{- if and .Values.watchNamespaces (not (has $namespace .Values.watchNamespaces)) }}
{{- fail (printf "trigger.namespace is %s, which is not one of watchNamespaces: the operator would not see its EdgeMigrations" $namespace) }}
{{- end }}
{{- $namespace }}
{{- end }}

{{- /* Where the console creates EdgeMigrations unless it is told another namespace. */ -}}
{{- define "edge-migration.consoleNamespace" -}}
{{- $namespace := .Values.console.namespace | default (first .Values.watchNamespaces) | default .Release.Namespace }}
{{- if and .Values.watchNamespaces (not (has $namespace .Values.watchNamespaces)) }}
{{- fail (printf "console.namespace is %s, which is not one of watchNamespaces: the operator would not see its EdgeMigrations" $namespace) }}
{{- end }}
{{- $namespace }}
{{- end }}

{{- define "edge-migration.natsServers" -}}
{{- if and .Values.nats.bundled.enabled .Values.nats.servers }}
{{- fail "nats.servers and nats.bundled.enabled exclude each other: set one of them" }}
{{- else if and .Values.nats.bundled.enabled .Values.nats.credentials.existingSecret }}
{{- fail "nats.credentials are for servers of your own; those of the bundled one are in nats.bundled.users.existingSecret" }}
{{- else if .Values.nats.bundled.enabled -}}
nats://{{ include "edge-migration.fullname" . }}-nats.{{ .Release.Namespace }}.svc:4222
{{- else if .Values.nats.servers -}}
{{ join "," .Values.nats.servers }}
{{- else }}
{{- fail "nats.servers is empty: set it (for example --set nats.servers={nats://nats.nats.svc:4222}), or nats.bundled.enabled=true for a trial, or capture.mode=Disabled for a copy without replay" }}
{{- end }}
{{- end }}

{{- /* Secret with a password for each user of the bundled server: operator, applier, sidecar. */ -}}
{{- define "edge-migration.natsUsersSecret" -}}
{{- .Values.nats.bundled.users.existingSecret | default (printf "%s-nats-users" (include "edge-migration.fullname" .)) }}
{{- end }}

{{- /* Bytes of a stream: the value, or an eighth of the bundled server's storage. Takes { root, value }. */ -}}
{{- define "edge-migration.streamBytes" -}}
{{- if not (kindIs "invalid" .value) }}
{{- int64 .value }}
{{- else if .root.Values.nats.bundled.enabled }}
{{- $size := .root.Values.nats.bundled.storage.size }}
{{- $unit := ternary 1073741824 1048576 (hasSuffix "Gi" $size) }}
{{- div (mul (trimSuffix "Gi" $size | trimSuffix "Mi" | int64) $unit) 8 }}
{{- end }}
{{- end }}
