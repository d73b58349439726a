import { z } from 'zod'
import { apiFilter, healthInfo, routeList, versionInfo } from '../../schemas/inspect.ts'
import { defineRoute } from '../define.ts'
import { listRoutes } from '../route-list.ts'

const inspect = { method: 'GET', api: 'inspect', tag: 'Inspect' } as const

export const inspectRoutes = defineRoute({
  ...inspect,
  path: '/v1/inspect/routes',
  operationId: 'listRoutes',
  summary: 'List routes',
  description: 'The routes of one API level, the deprecated routes, or (without a filter) all routes that are not deprecated.',
  query: z.object({ api_filter: apiFilter.optional() }),
  responses: { 200: { description: 'OK', json: routeList } },
  handle: ({ query }, { routes, providers }) => ({ data: listRoutes(routes, providers, query.api_filter) }),
})

export const getHealth = defineRoute({
  ...inspect,
  path: '/v1/health',
  operationId: 'getHealth',
  summary: 'Check liveness',
  description: 'Liveness only; for readiness see `/readyz`. For the health of providers see `/v1/providers`.',
  public: true,
  responses: { 200: { description: 'OK', json: healthInfo } },
  handle: () => ({ status: 'OK' }),
})

export const getVersion = defineRoute({
  ...inspect,
  path: '/v1/version',
  operationId: 'getVersion',
  summary: 'Get the server’s version',
  public: true,
  responses: { 200: { description: 'OK', json: versionInfo } },
  handle: (_input, { version }) => ({ version }),
})
