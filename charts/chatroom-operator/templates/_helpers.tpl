{{/* Names, labels and images that several templates share. */}}

{{- define "chatroom-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of everything that belongs to this release; at most 63 characters, as a label has to be. */}}
{{- define "chatroom-operator.fullname" -}}
{{- $name := include "chatroom-operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names that say more than the full name, and still fit. Call it with (list . "test"). */}}
{{- define "chatroom-operator.fullnameWith" -}}
{{- $word := index . 1 -}}
{{- printf "%s-%s" (include "chatroom-operator.fullname" (index . 0) | trunc (int (sub 62 (len $word))) | trimSuffix "-") $word -}}
{{- end -}}

{{- define "chatroom-operator.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{/* What the Deployment selects its pod by. It can never change: no version in it. */}}
{{- define "chatroom-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "chatroom-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* The labels of the pod of `helm test`; the NetworkPolicy lets it in by them. */}}
{{- define "chatroom-operator.testSelectorLabels" -}}
app.kubernetes.io/name: {{ include "chatroom-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end -}}

{{/* The labels of every object: the release's own, and what commonLabels adds. */}}
{{- define "chatroom-operator.labels" -}}
{{- merge (include "chatroom-operator.ownLabels" . | fromYaml) .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "chatroom-operator.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "chatroom-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: chatroom
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "chatroom-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "chatroom-operator.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The full name of an image. Call it with (list . .Values.gatewayImage). */}}
{{- define "chatroom-operator.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := ($root.Values.global).imageRegistry | default $image.registry -}}
{{- $repository := ternary (printf "%s/%s" $registry $image.repository) $image.repository (not (empty $registry)) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What the operator may do with rooms and their children. docs/rights.md says why, and a test compares the two. */}}
{{- define "chatroom-operator.rules" -}}
- apiGroups: [chatroom.dev]
  resources: [chatrooms]
  verbs: [get, list, watch]
- apiGroups: [chatroom.dev]
  resources: [chatrooms/status]
  verbs: [patch]
# The children of a room. One that every room has is never deleted: it goes with the room.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Only to make one: `patch` and `update` answer with the object, which would be reading it.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
# Where the gateways are, and why a pod does not start.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# `patch` counts up a series of equal events.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
