import { z } from 'zod'
import { apiFilter, healthInfo, providerInfo, providerList, routeList, versionInfo } from '../../schemas/inspect.ts'
import { defineRoute } from '../define.ts'
import { describeProvider, describeProviders } from '../provider-info.ts'
import { listRoutes } from '../route-list.ts'

// A used-up limit must not hide from a monitor that it is used up. Policies decide who may use these routes.
const admin = { method: 'GET', api: 'admin', tag: 'Admin', counted: false } as const

export const adminListProviders = defineRoute({
  ...admin,
  path: '/v1alpha/admin/providers',
  operationId: 'adminListProviders',
  summary: 'List providers',
  responses: { 200: { description: 'OK', json: providerList } },
  async handle({ call }, { providers }) {
    return { data: await describeProviders(providers, call) }
  },
})

export const adminRetrieveProvider = defineRoute({
  ...admin,
  path: '/v1alpha/admin/providers/{provider_id}',
  operationId: 'adminRetrieveProvider',
  summary: 'Retrieve a provider',
  params: z.object({ provider_id: z.string() }),
  responses: { 200: { description: 'OK', json: providerInfo } },
  handle: ({ params, call }, { providers }) => describeProvider(params.provider_id, providers, call),
})

export const adminInspectRoutes = defineRoute({
  ...admin,
  path: '/v1alpha/admin/inspect/routes',
  operationId: 'adminListRoutes',
  summary: 'List routes',
  query: z.object({ api_filter: apiFilter.optional() }),
  responses: { 200: { description: 'OK', json: routeList } },
  handle: ({ query }, { routes, providers }) => ({ data: listRoutes(routes, providers, query.api_filter) }),
})

export const adminHealth = defineRoute({
  ...admin,
  path: '/v1alpha/admin/health',
  operationId: 'adminHealth',
  summary: 'Check liveness',
  responses: { 200: { description: 'OK', json: healthInfo } },
  handle: () => ({ status: 'OK' }),
})

export const adminVersion = defineRoute({
  ...admin,
  path: '/v1alpha/admin/version',
  operationId: 'adminVersion',
  summary: 'Get the server’s version',
  responses: { 200: { description: 'OK', json: versionInfo } },
  handle: (_input, { version }) => ({ version }),
})
