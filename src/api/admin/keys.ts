import { z } from 'zod'
import type { ApiKey, IssuedKey, KeyService, CreateApiKeyInput } from '../../auth/keys/key-service.ts'
import { requirePrincipal } from '../../auth/keys/permissions.ts'
import type { Call, Limit } from '../../call.ts'
import { unavailable } from '../../errors.ts'
import {
  apiKey,
  type ApiKeyInfo,
  apiKeyList,
  apiKeyPage,
  issuedApiKey,
  type KeyLimit,
  type NewApiKey,
  newApiKey,
  rotateApiKey,
} from '../../schemas/api-keys.ts'
import { defineRoute } from '../define.ts'

// A used-up limit must not prevent that a key is revoked. Policies decide who may use these routes.
const common = { api: 'admin', tag: 'Admin', counted: false } as const
const all = { ...common, path: '/v1alpha/admin/keys' } as const
const one = {
  ...common,
  path: '/v1alpha/admin/keys/{key_id}',
  params: z.object({ key_id: z.string().meta({ description: '`key_…`, not the token.' }) }),
} as const

const requiresPermission =
  'Requires a rule of `server.auth.access_policy` that permits it on `api_key::…`. Without authentication, create keys with `corral keys`.'

export const createApiKey = defineRoute({
  ...all,
  method: 'POST',
  operationId: 'createApiKey',
  summary: 'Create an API key',
  description: `The response contains the token. It is shown only once. ${requiresPermission}`,
  body: newApiKey,
  responses: { 200: { description: 'OK', json: issuedApiKey } },
  handle: async ({ body, call }, { keys }) => issuedKeyResponse(await requireKeyService(keys, call).create(call, toWanted(body))),
})

export const listApiKeys = defineRoute({
  ...all,
  method: 'GET',
  operationId: 'listApiKeys',
  summary: 'List API keys',
  description: 'Lists the keys that the caller can read, without their tokens.',
  query: apiKeyPage,
  responses: { 200: { description: 'OK', json: apiKeyList } },
  async handle({ query, call }, { keys }) {
    const { rows, hasMore } = await requireKeyService(keys, call).list(call, query)
    const data = rows.map((key) => toApiKeyInfo(key, Date.now()))
    return { object: 'list', data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: hasMore }
  },
})

export const retrieveApiKey = defineRoute({
  ...one,
  method: 'GET',
  operationId: 'retrieveApiKey',
  summary: 'Retrieve an API key',
  responses: { 200: { description: 'OK', json: apiKey } },
  handle: async ({ params, call }, { keys }) => toApiKeyInfo(await requireKeyService(keys, call).get(call, params.key_id), Date.now()),
})

export const revokeApiKey = defineRoute({
  ...one,
  method: 'DELETE',
  operationId: 'revokeApiKey',
  summary: 'Revoke an API key',
  description: `The key is rejected by every replica within a second. It remains in the list. ${requiresPermission}`,
  responses: { 200: { description: 'OK', json: apiKey } },
  handle: async ({ params, call }, { keys }) => toApiKeyInfo(await requireKeyService(keys, call).revoke(call, params.key_id), Date.now()),
})

export const rotateApiKeyToken = defineRoute({
  ...one,
  path: '/v1alpha/admin/keys/{key_id}/rotate',
  method: 'POST',
  operationId: 'rotateApiKey',
  summary: 'Rotate the token of an API key',
  description: `The response contains the new token. It is shown only once. The other properties of the key do not change. ${requiresPermission}`,
  body: rotateApiKey,
  responses: { 200: { description: 'OK', json: issuedApiKey } },
  // The key is revoked or has expired.
  errors: [409],
  handle: async ({ params, body, call }, { keys }) =>
    issuedKeyResponse(await requireKeyService(keys, call).rotate(call, params.key_id, { grace: Math.round(body.grace_seconds * 1000) })),
})

/** Who is not told apart from anybody hears that before anything else. */
function requireKeyService(keys: KeyService | undefined, call: Call): KeyService {
  requirePrincipal(call)
  if (keys) return keys
  throw unavailable('API keys are unavailable: the database could not be opened.', 60, { code: 'database_unavailable' })
}

/** The token is for the caller's eyes, not for a cache's. */
function issuedKeyResponse({ key, token }: IssuedKey): Response {
  return Response.json({ ...toApiKeyInfo(key, Date.now()), value: token.reveal() }, { headers: { 'cache-control': 'no-store' } })
}

/** What a body asks for, as the service takes it. */
export function toWanted(body: NewApiKey): CreateApiKeyInput {
  return {
    name: body.name,
    principal: body.principal,
    attributes: body.attributes,
    allowedModels: body.allowed_models ?? undefined,
    allowedApis: body.allowed_apis ?? undefined,
    limits: body.limits?.map(toLimit),
    expiresAt: body.expires_at == null ? undefined : body.expires_at * 1000,
  }
}

function toLimit(limit: KeyLimit): Limit {
  const { name, period = 'minute', requests, dollars } = limit
  return {
    name,
    // Of running requests alone it does not matter.
    period,
    requests,
    inputTokens: limit.input_tokens,
    outputTokens: limit.output_tokens,
    totalTokens: limit.total_tokens,
    dollars,
    concurrentRequests: limit.concurrent_requests,
  }
}

/** A key as it is shown, at `time` (Unix milliseconds). */
export function toApiKeyInfo(key: ApiKey, time: number): ApiKeyInfo {
  const expired = key.expiresAt !== undefined && key.expiresAt <= time
  const grace = key.previousValidUntil !== undefined && key.previousValidUntil > time ? key.previousValidUntil : undefined
  return {
    id: key.id,
    object: 'api_key',
    name: key.name,
    redacted_value: key.hint,
    status: key.revokedAt !== undefined ? 'revoked' : expired ? 'expired' : 'active',
    created_at: seconds(key.createdAt),
    expires_at: secondsOrNull(key.expiresAt),
    revoked_at: secondsOrNull(key.revokedAt),
    previous_valid_until: secondsOrNull(grace),
    owner: key.owner ?? null,
    principal: key.principal,
    attributes: Object.fromEntries(Object.entries(key.attributes).map(([name, values]) => [name, [...values]])),
    allowed_models: key.allowedModels ? [...key.allowedModels] : null,
    allowed_apis: key.allowedApis ? [...key.allowedApis] : null,
    limits: key.limits.map(fromLimit),
  }
}

function fromLimit(limit: Limit): KeyLimit {
  const { name, period, requests, dollars } = limit
  const wire = {
    name,
    period,
    requests,
    input_tokens: limit.inputTokens,
    output_tokens: limit.outputTokens,
    total_tokens: limit.totalTokens,
    dollars,
    concurrent_requests: limit.concurrentRequests,
  }
  return Object.fromEntries(Object.entries(wire).filter(([, value]) => value !== undefined))
}

function seconds(time: number): number {
  return Math.floor(time / 1000)
}

function secondsOrNull(time: number | undefined): number | null {
  return time === undefined ? null : seconds(time)
}
