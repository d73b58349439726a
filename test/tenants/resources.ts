import type { OwnedTable } from '../../src/access/owned-table.ts'
import type { AccessRule } from '../../src/access/schema.ts'

/** A request as the test sends it. */
export interface TenantRequest {
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

/** One kind of thing that tenants own. */
export interface TenantResource {
  /** The policies under which a thing is its owner's alone. */
  readonly policies: Readonly<Record<string, readonly AccessRule[]>>
  /** Makes one; `name` where the maker chooses it. */
  create(name: string): TenantRequest
  /** Its name in the response to `create`. */
  idOf(response: Record<string, unknown>): string
  /** An id that no thing has, of the same make. */
  absentId(id: string): string
  readonly list: TenantRequest
  /** Whatever else can be done to one thing: its name, and the request. */
  readonly verbs: Readonly<Record<string, (id: string) => TenantRequest>>
}

/** What everybody may use, so that models can be registered that stand for it. */
const shared: AccessRule = { permit: { actions: 'read', resource: 'model::up/*' } }

const ownersOnly: AccessRule[] = [
  shared,
  { permit: { actions: ['create'] }, when: 'resource is unowned' },
  { permit: { actions: ['read', 'update', 'delete'] }, when: 'user is owner' },
]

const teamsOnly: AccessRule[] = [
  shared,
  { permit: { actions: 'create' } },
  { forbid: { actions: ['read', 'update', 'delete'] }, unless: ['user in owners teams'] },
  { permit: { actions: ['read', 'update', 'delete'] } },
]

const withRegex: AccessRule[] = [
  shared,
  {
    forbid: { actions: ['read', 'update', 'delete'], resource: 'regex:(model|api_key)::' },
    when: ['user is not owner', 'user not in owners teams'],
  },
  { permit: { actions: ['create', 'read', 'update', 'delete'], resource: 'regex:.*' } },
]

const message = [{ role: 'user', content: 'Hi' }]
const post = (path: string, body: unknown): TenantRequest => ({ method: 'POST', path, body })

/** Every table of owned rows must have its line here: the type says so. */
export const tenantResources: Readonly<Record<OwnedTable, TenantResource>> = {
  models: {
    policies: { 'the default policy': [], 'owners only': ownersOnly, 'teams only': teamsOnly, 'a regular expression': withRegex },
    create: (name) => post('/v1/models', { model_id: name, provider_id: 'up', provider_model_id: 'small' }),
    idOf: ({ id }) => id as string,
    absentId: (id) => `${id}-not`,
    list: { method: 'GET', path: '/v1/models' },
    verbs: {
      get: (id) => ({ method: 'GET', path: `/v1/models/${id}` }),
      'get by the older path': (id) => ({ method: 'GET', path: `/v1/openai/v1/models/${id}` }),
      delete: (id) => ({ method: 'DELETE', path: `/v1/models/${id}` }),
      chat: (id) => post('/v1/chat/completions', { model: id, messages: message }),
      'chat streamed': (id) => post('/v1/chat/completions', { model: id, messages: message, stream: true }),
      complete: (id) => post('/v1/completions', { model: id, prompt: 'Hi' }),
      embed: (id) => post('/v1/embeddings', { model: id, input: 'Hi' }),
      'rerank documents': (id) => post('/v1/rerank', { model: id, query: 'Hi', documents: ['a'] }),
      rerank: (id) => post('/v1alpha/inference/rerank', { model: id, query: 'Hi', items: ['a'] }),
    },
  },
  api_keys: {
    policies: { 'owners only': ownersOnly, 'teams only': teamsOnly, 'a regular expression': withRegex },
    create: (name) => post('/v1alpha/admin/keys', { name }),
    idOf: ({ id }) => id as string,
    // Other chance, the same time.
    absentId: (id) =>
      id.slice(0, -20) + id.slice(-20).replaceAll(/[0-9a-f]/g, (digit) => ((Number.parseInt(digit, 16) + 5) % 16).toString(16)),
    list: { method: 'GET', path: '/v1alpha/admin/keys' },
    verbs: {
      get: (id) => ({ method: 'GET', path: `/v1alpha/admin/keys/${id}` }),
      revoke: (id) => ({ method: 'DELETE', path: `/v1alpha/admin/keys/${id}` }),
      rotate: (id) => post(`/v1alpha/admin/keys/${id}/rotate`, {}),
      'list behind it': (id) => ({ method: 'GET', path: `/v1alpha/admin/keys?after=${id}` }),
      'list before it': (id) => ({ method: 'GET', path: `/v1alpha/admin/keys?before=${id}` }),
    },
  },
}
