{{- /*
The template that the operator makes its Jobs' pods from. It is an annotation of the operator's own pods, which neither its
role nor the workers' can change; both write ConfigMaps.
*/ -}}
{{- define "edge-migration.workerTemplate" -}}
{{- $place := dict "root" . "component" "worker" }}
{{- /* A Job's pod ends when all of its containers have: the proxy of a mesh would keep it from that. */ -}}
{{- $noMesh := dict "sidecar.istio.io/inject" "false" "linkerd.io/inject" "disabled" }}
metadata:
  labels:
    {{- include "edge-migration.labels" $place | nindent 4 }}
    {{- toYaml (merge (dict) (.Values.podLabels | default dict) (dict "sidecar.istio.io/inject" "false")) | nindent 4 }}
  annotations:
    {{- toYaml (merge (dict) (.Values.podAnnotations | default dict) $noMesh) | nindent 4 }}
spec:
  serviceAccountName: {{ include "edge-migration.serviceAccountName" $place }}
  {{- include "edge-migration.podSpec" $place | nindent 2 }}
  containers:
    - name: worker
      image: {{ include "edge-migration.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [--max-semi-space-size=8, --max-old-space-size=160]
      env:
        {{- include "edge-migration.env" $place | nindent 8 }}
        - { name: EDGE_MIGRATION_TERMINATION_MESSAGE_FILE, value: /dev/termination-log }
        # Large identities come and go outside the heap: what is free goes back to the system, from few places.
        - { name: MALLOC_ARENA_MAX, value: "2" }
        - { name: MALLOC_TRIM_THRESHOLD_, value: "1048576" }
        - { name: EDGE_MIGRATION_METRICS_HOST, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
        - { name: EDGE_MIGRATION_METRICS_PORT, value: "9466" }
      ports:
        - { name: metrics, containerPort: 9466 }
      terminationMessagePolicy: FallbackToLogsOnError
      resources:
        {{- toYaml .Values.worker.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      {{- with include "edge-migration.volumeMounts" $place }}
      volumeMounts:
        {{- . | nindent 8 }}
      {{- end }}
  {{- with include "edge-migration.volumes" $place }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}
