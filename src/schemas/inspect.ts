import { z } from 'zod'

const healthStatus = z.enum(['OK', 'Error', 'Not Implemented'])

export const healthInfo = z.object({ status: healthStatus }).meta({ id: 'HealthInfo' })
export const versionInfo = z.object({ version: z.string() }).meta({ id: 'VersionInfo' })

/** `GET /readyz`. */
export const readinessInfo = z
  .object({
    status: z.enum(['ready', 'unready']),
    reasons: z.array(z.string()).meta({ description: 'Why the server is not ready, e.g. `draining`; empty when ready.' }),
    awaiting: z.array(z.string()).meta({ description: 'Pending work; other requests are served in the meantime.' }),
  })
  .meta({ id: 'ReadinessInfo' })
export type ReadinessInfo = z.output<typeof readinessInfo>

export const providerInfo = z
  .object({
    api: z.string(),
    provider_id: z.string(),
    provider_type: z.string(),
    config: z.record(z.string(), z.unknown()).meta({ description: 'Without secrets.' }),
    health: z.object({ status: healthStatus, message: z.string().optional() }),
  })
  .meta({ id: 'ProviderInfo' })
export type ProviderInfo = z.output<typeof providerInfo>
export const providerList = z.object({ data: z.array(providerInfo) }).meta({ id: 'ListProvidersResponse' })

/** Whose routes `GET /v1/inspect/routes` shows. */
export const apiFilter = z.enum(['v1', 'v1alpha', 'v1beta', 'deprecated'])

const routeInfo = z
  .object({
    route: z.string(),
    method: z.string(),
    provider_types: z.array(z.string()).meta({ description: 'The types of the providers that serve it.' }),
  })
  .meta({ id: 'RouteInfo' })
export type RouteInfo = z.output<typeof routeInfo>
export const routeList = z.object({ data: z.array(routeInfo) }).meta({ id: 'ListRoutesResponse' })
