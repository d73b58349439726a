import { z } from 'zod'
import type { Call } from '../../call.ts'
import { apiKey, apiKeyList, apiKeyPage, createApiKeyRequest, issuedApiKey, rotateApiKeyRequest } from '../../schemas/api-keys.ts'
import { toListBody } from '../../schemas/lists.ts'
import { defineRoute } from '../define.ts'
import { authenticationRequired, requirePrincipal } from './permissions.ts'
import type { IssuedKey, KeyService } from './service.ts'

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
  body: createApiKeyRequest,
  responses: { 200: { description: 'OK', json: issuedApiKey } },
  handle: async ({ body, call }, { keys }) => issuedKeyResponse(await requireKeyService(keys, call).create(call, body)),
})

export const listApiKeys = defineRoute({
  ...all,
  method: 'GET',
  operationId: 'listApiKeys',
  summary: 'List API keys',
  description: 'Lists the keys that the caller can read, without their tokens.',
  query: apiKeyPage,
  responses: { 200: { description: 'OK', json: apiKeyList } },
  handle: async ({ query, call }, { keys }) => toListBody(await requireKeyService(keys, call).list(call, query), (key) => key),
})

export const retrieveApiKey = defineRoute({
  ...one,
  method: 'GET',
  operationId: 'retrieveApiKey',
  summary: 'Retrieve an API key',
  responses: { 200: { description: 'OK', json: apiKey } },
  handle: ({ params, call }, { keys }) => requireKeyService(keys, call).get(call, params.key_id),
})

export const revokeApiKey = defineRoute({
  ...one,
  method: 'DELETE',
  operationId: 'revokeApiKey',
  summary: 'Revoke an API key',
  description: `The key is rejected by every replica within a second. It remains in the list. ${requiresPermission}`,
  responses: { 200: { description: 'OK', json: apiKey } },
  handle: ({ params, call }, { keys }) => requireKeyService(keys, call).revoke(call, params.key_id),
})

export const rotateApiKeyToken = defineRoute({
  ...one,
  path: '/v1alpha/admin/keys/{key_id}/rotate',
  method: 'POST',
  operationId: 'rotateApiKey',
  summary: 'Rotate the token of an API key',
  description: `The response contains the new token. It is shown only once. The other properties of the key do not change. ${requiresPermission}`,
  body: rotateApiKeyRequest,
  responses: { 200: { description: 'OK', json: issuedApiKey } },
  // The key is revoked or has expired.
  errors: [409],
  handle: async ({ params, body, call }, { keys }) =>
    issuedKeyResponse(await requireKeyService(keys, call).rotate(call, params.key_id, body)),
})

/** Absent without authentication: 403. */
function requireKeyService(keys: KeyService | undefined, call: Call): KeyService {
  requirePrincipal(call)
  if (keys) return keys
  throw authenticationRequired()
}

/** The token must not be cached. */
function issuedKeyResponse({ key, token }: IssuedKey): Response {
  return Response.json({ ...key, value: token.reveal() }, { headers: { 'cache-control': 'no-store' } })
}
