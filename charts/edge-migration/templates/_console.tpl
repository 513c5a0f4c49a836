{{- /* The console's Secrets, each a volume by the name of what is in it; fails where settings contradict each other. */ -}}
{{- define "edge-migration.consoleMounts" -}}
{{- with .Values.console }}
{{- if eq .authentication "Proxy" }}
{{- if not .proxy.existingSecret }}
{{- fail "console.authentication=Proxy needs console.proxy.existingSecret: headers of a proxy count only with its secret" }}
{{- end }}
{{- if not .publicOrigin }}
{{- fail "console.authentication=Proxy needs console.publicOrigin, such as https://console.example.com: by it, requests of other sites are told" }}
{{- end }}
{{- if eq .writes "Token" }}
{{- fail "console.authentication=Proxy needs console.writes Impersonation or Off: behind a proxy there are no tokens of callers" }}
{{- end }}
- { name: proxy, secret: {{ .proxy.existingSecret }} }
{{- else if and .tokenAudiences (eq .writes "Token") }}
{{- fail "console.tokenAudiences needs console.writes Impersonation or Off: the API server takes no tokens of other audiences" }}
{{- end }}
{{- if and (eq .writes "Impersonation") (not (or .impersonation.users .impersonation.serviceAccounts)) }}
{{- fail "console.writes=Impersonation needs console.impersonation.users or .serviceAccounts: whom the console may act as" }}
{{- end }}
{{- with .tls.existingSecret }}
- { name: tls, secret: {{ . }} }
{{- end }}
{{- end }}
{{- end }}
