// Ask one question with Google's JavaScript SDK and write down the sound of the answer.
// Usage: node javascript.mjs URL QUESTION.raw ANSWER.raw (16 kHz in, 24 kHz out, S16_LE mono)
import { readFileSync, writeFileSync } from "node:fs";
import { GoogleGenAI, Modality } from "@google/genai";

const [url, questionFile, answerFile] = process.argv.slice(2);
const client = new GoogleGenAI({ apiKey: "test-key", httpOptions: { baseUrl: url } });
const sound = [];

const answered = new Promise((resolve, reject) => {
  client.live
    .connect({
      model: "gemini-3.8-live",
      config: { responseModalities: [Modality.AUDIO], sessionResumption: {} },
      callbacks: {
        onmessage: (message) => {
          for (const part of message.serverContent?.modelTurn?.parts ?? []) {
            if (part.inlineData) sound.push(Buffer.from(part.inlineData.data, "base64"));
          }
          if (message.serverContent?.turnComplete) resolve();
        },
        onerror: (error) => reject(new Error(error.message)),
        onclose: (event) => reject(new Error(`closed: ${event.code} ${event.reason}`)),
      },
    })
    .then((session) => {
      const question = readFileSync(questionFile);
      for (let start = 0; start < question.length; start += 1280) {
        const data = question.subarray(start, start + 1280).toString("base64");
        session.sendRealtimeInput({ audio: { data, mimeType: "audio/pcm;rate=16000" } });
      }
      answered.then(() => session.close());
    }, reject);
});

await answered;
writeFileSync(answerFile, Buffer.concat(sound));
