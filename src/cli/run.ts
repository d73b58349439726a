import { defineCommand } from './command.ts'
import { needlessServing } from './needless.ts'

export const run = defineCommand({
  name: 'run',
  aliases: ['stack run', 'serve', 'start'],
  summary: 'serve a distribution or a configuration file',
  description:
    'Without an argument this serves the starter distribution: every provider whose key or URL is in the environment, local servers (Ollama, LM Studio, vLLM, llama.cpp) on their usual ports, and an embedded model.\n\nA flag beats a variable (CORRAL_PORT, CORRAL_CONFIG, CORRAL_LOGGING; OGX_... and LLAMA_STACK_... work too), a variable beats the file. SIGTERM and Ctrl+C let running requests finish; a second Ctrl+C stops at once.',
  arguments: [
    { name: 'starter|NAME|FILE', description: "a distribution's name (`corral list distros`) or a configuration file; default starter" },
  ],
  options: {
    port: { type: 'integer', value: 'PORT', short: 'p', description: 'port to listen on; 0 takes a free one; default 8321' },
    host: { type: 'string', value: 'HOST', description: 'address to listen on; default loopback only' },
    providers: {
      type: 'string',
      value: 'SPEC',
      description: 'serve these in place of a file, e.g. "inference=remote::groq,inference=remote::ollama"',
    },
    config: { type: 'string', value: 'FILE', short: 'c', description: 'the same as the argument' },
    workers: { type: 'integer', value: 'N', description: 'processes that share the port (Linux)' },
    strict: { type: 'boolean', description: 'treat unknown keys in the file as errors' },
    json: { type: 'boolean', description: 'tell the address as a line of JSON once it is served' },
    ...needlessServing,
  },
  examples: [
    ['Serve what the environment has keys for', 'GROQ_API_KEY=... corral run'],
    ['Serve a file on another port', 'corral run groq.yaml --port 9000'],
    ['Serve one provider without a file', 'corral run --providers "inference=remote::groq"'],
  ],
  async run(_input, context) {
    const { createApp } = await import('../app.ts')
    const { listen } = await import('../runtime/serve.ts')
    const { buildServices } = await import('../services.ts')
    const services = await buildServices()
    const app = createApp(services)
    const { url } = listen({ port: 8321, hostname: '127.0.0.1', fetch: (request) => app.fetch(request) })
    services.log.info({}, `Corral serves ${url}`)
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve))
  },
})
