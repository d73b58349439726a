import { expect, test } from 'bun:test'
import { bannerText } from './banner.ts'

const plain = { bold: (text: string) => text, dim: (text: string) => text }

test('the banner has a request to paste, quoted for a shell', () => {
  const text = bannerText({ url: 'http://127.0.0.1:8321', providers: ['groq', 'ollama'], model: "groq/it's-a-model" }, plain)
  expect(text).toContain('groq, ollama')
  expect(text).toContain('http://127.0.0.1:8321/docs')
  expect(text).toContain(`"model":"groq/it'\\''s-a-model"`)
})

test('without a model it asks for the list', () => {
  expect(bannerText({ url: 'https://localhost:1', providers: [], model: undefined }, plain)).toContain('curl https://localhost:1/v1/models')
})
