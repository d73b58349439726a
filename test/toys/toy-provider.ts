import { z } from 'zod'
import { defineRemoteInference } from '../../src/providers/inference/remote-inference.ts'
import { type CommonDefinition, defineProvider, type Provider } from '../../src/providers/provider.ts'

/**
 * A provider of inference: an upstream in OpenAI's format that differs in a field of its requests, in its chunks, in its usage, and that takes another
 * model by a field of its own.
 */
export const toyInference = defineRemoteInference({
  type: 'remote::toy',
  description: 'A toy for tests.',
  baseUrl: 'https://toy.example/v1',
  key: { header: 'toy_api_key', variable: 'TOY_API_KEY' },
  capabilities: ['chat'],
  fields: { project: z.string().nullish().describe('The project that requests are charged to.') },
  fallbackModels: { named: ['toy_model'] },
  pricing: { reportsCost: true },
  overrides: ({ config }) => ({
    editRequest: () => ({ project: config.project ?? undefined }),
    editFrame: ({ toy_text: text }) =>
      typeof text === 'string'
        ? { toy_text: undefined, choices: [{ index: 0, message: { content: text }, finish_reason: 'stop' }] }
        : undefined,
    usageOf: ({ toys }) => (typeof toys === 'number' ? { input: toys, output: toys, dollars: 0.5 } : undefined),
  }),
})

/** A provider of an API that no part of the server knows. */
interface ToyStore extends Provider {
  put(name: string): void
}

interface ToyStoreDefinition<Config = unknown> extends CommonDefinition<'toy_store', Config> {
  create(config: Config): ToyStore
}

declare module '../../src/providers/provider.ts' {
  interface DefinitionsByApi<Config> {
    readonly toy_store: ToyStoreDefinition<Config>
  }
}

export const disposed: string[] = []

export const toyStore = defineProvider({
  api: 'toy_store',
  type: 'inline::toy-store',
  description: 'A toy store for tests.',
  config: z.strictObject({ name: z.string() }),
  create({ name }) {
    const names = new Set<string>()
    return {
      hasOwnKey: true,
      put: (one) => void names.add(one),
      checkHealth: async () => undefined,
      async [Symbol.asyncDispose]() {
        disposed.push(name)
      },
    }
  },
})
