{{- /* The trigger's Secrets, each a volume by the name of what is in it. */ -}}
{{- define "edge-migration.triggerMounts" -}}
{{- with .Values.trigger }}
{{- if not (or .signingKeys.existingSecret .apiDestination.existingSecret) }}
{{- fail "trigger.enabled needs trigger.signingKeys.existingSecret (Flagsmith's own calls) or trigger.apiDestination.existingSecret (EventBridge on AWS): without either no event could be taken" }}
{{- end }}
{{- with .signingKeys.existingSecret }}
- { name: signing-keys, secret: {{ . }} }
{{- end }}
{{- with .apiDestination.existingSecret }}
- { name: api-destination, secret: {{ . }} }
{{- end }}
{{- with .tls.existingSecret }}
- { name: tls, secret: {{ . }} }
{{- end }}
{{- end }}
{{- end }}
