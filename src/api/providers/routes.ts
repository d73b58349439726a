import { z } from 'zod'
import { providerInfo, providerList } from '../../schemas/inspect.ts'
import { defineRoute } from '../define.ts'
import { describeProvider, describeProviders } from '../provider-info.ts'

export const listProviders = defineRoute({
  method: 'GET',
  path: '/v1/providers',
  api: 'providers',
  operationId: 'listProviders',
  tag: 'Providers',
  summary: 'List providers',
  description: 'Every configured provider, without secrets, with its current health.',
  responses: { 200: { description: 'OK', json: providerList } },
  async handle({ call }, { providers }) {
    return { data: await describeProviders(providers, call) }
  },
})

export const retrieveProvider = defineRoute({
  method: 'GET',
  path: '/v1/providers/{provider_id}',
  api: 'providers',
  operationId: 'retrieveProvider',
  tag: 'Providers',
  summary: 'Retrieve a provider',
  params: z.object({ provider_id: z.string() }),
  responses: { 200: { description: 'OK', json: providerInfo } },
  handle: ({ params, call }, { providers }) => describeProvider(params.provider_id, providers, call),
})
