import { expect, test } from 'bun:test'
import { toApiKey, toApiKeyRow } from '../../src/api/keys/store.ts'
import { apiKey, createApiKeyRequest, type KeyLimit } from '../../src/schemas/api-keys.ts'

const limits: KeyLimit[] = [
  { name: 'budget', period: 'month', dollars: 2.5 },
  { period: 'day', requests: 1, input_tokens: 2, output_tokens: 3, total_tokens: 4 },
  { period: 'minute', concurrent_requests: 5 },
]
const body = createApiKeyRequest.parse({
  name: 'ci',
  allowed_models: ['up/*'],
  allowed_apis: ['inference'],
  limits,
  expires_at: 2_000,
})
const stored = {
  ...toApiKeyRow(body, {
    id: 'key_1',
    createdAt: 1_500_700,
    hash: 'h',
    hint: 'crl_…abcd',
    principal: 'alice',
    attributes: { teams: ['a'] },
  }),
  owner_id: 'root',
  owner_attributes: '{}',
}

test('[RES-5] what a request body says comes back as the output schema describes it', () => {
  const shown = toApiKey(stored, 1_600_000)
  expect(apiKey.parse(shown)).toEqual(shown)
  expect(shown).toEqual({
    id: 'key_1',
    object: 'api_key',
    name: 'ci',
    redacted_value: 'crl_…abcd',
    status: 'active',
    created_at: 1_500,
    expires_at: 2_000,
    revoked_at: null,
    previous_valid_until: null,
    owner: 'root',
    principal: 'alice',
    attributes: { teams: ['a'] },
    allowed_models: ['up/*'],
    allowed_apis: ['inference'],
    limits,
  })
})

test('[RES-5] status and the previous token go by the time of the request', () => {
  const rotated = { ...stored, previous_hash: 'g', previous_until: 1_900_500 }
  const at = (time: number) => toApiKey(rotated, time)
  expect([at(1_900_499).previous_valid_until, at(1_900_500).previous_valid_until]).toEqual([1_900, null])
  expect([at(1_999_999).status, at(2_000_000).status]).toEqual(['active', 'expired'])
  expect(toApiKey({ ...rotated, revoked_at: 1_000_000 }, 2_000_000).status).toBe('revoked')
})

test('[RES-5] a corrupt row is shown with nothing allowed', () => {
  expect(toApiKey({ ...stored, allowed_models: '{', attributes: '[]' }, 0)).toMatchObject({
    allowed_models: [],
    allowed_apis: [],
    limits: [],
    attributes: {},
  })
})
