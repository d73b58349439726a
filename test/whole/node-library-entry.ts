// Runs on plain Node, bundled: builds the services and serves in process. Argument: the upstream's URL. Prints one line of JSON.
import { z } from 'zod'
import { buildServices, createApp, defineProvider, loadConfig, openaiCompatible, silentLog } from '../../src/index.ts'

const upstream = String(process.argv[2])

const mock = defineProvider({
  api: 'inference',
  type: 'remote::mock',
  description: 'The mock upstream.',
  config: z.object({ base_url: z.string() }),
  create: ({ base_url: baseUrl }, deps) =>
    openaiCompatible({ baseUrl, authorize: () => ({}), hasOwnKey: true, capabilities: ['chat'] }, deps),
})

const source = `version: 2
distro_name: library
providers:
  inference:
    - provider_id: mock
      provider_type: remote::mock
      config:
        base_url: ${upstream}/v1
`
const { config } = await loadConfig({ source, env: {}, definitions: [mock] })
const services = await buildServices(config, { log: silentLog })
const app = createApp(services)

const post = async (body: object): Promise<string> => {
  const request = new Request('http://localhost/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', host: 'localhost' },
    body: JSON.stringify(body),
  })
  const response = await app.fetch(request)
  return `${response.status} ${await response.text()}`
}
const messages = [{ role: 'user', content: 'Hi' }]
const health = await (await app.fetch(new Request('http://localhost/v1/health'))).json()
const plain = await post({ model: 'mock/m', messages })
const streamed = await post({ model: 'mock/m', messages, stream: true })
const missing = await post({ model: 'none/m', messages })
const registration = await app.fetch(
  new Request('http://localhost/v1/models', {
    method: 'POST',
    headers: { 'content-type': 'application/json', host: 'localhost' },
    body: JSON.stringify({ model_id: 'alias', provider_id: 'mock', provider_model_id: 'm' }),
  }),
)
const registered = `${registration.status} ${await registration.text()}`
await services[Symbol.asyncDispose]()
console.log(JSON.stringify({ health, plain, streamed, missing, registered }))
