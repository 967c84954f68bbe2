// Orders at a steady rate, whatever the responses take: half without a payment, one in ten with a declined card. The
// profile `load` of docker-compose.yml runs it with k6.
import { check } from "k6";
import http from "k6/http";

const rate = Number(__ENV.LOAD_ORDERS_PER_SECOND || 5);

export const options = {
  scenarios: {
    orders: {
      executor: "constant-arrival-rate",
      rate,
      timeUnit: "1s",
      duration: "24h",
      preAllocatedVUs: Math.max(10, rate),
      maxVUs: Math.max(100, rate * 20),
    },
  },
};

export default function () {
  const order = { product_name: "Steady load", amount: "9.99" };
  const draw = Math.random();
  if (draw < 0.5) {
    order.payment_method = "credit_card";
    if (draw < 0.1) {
      order.payment_token = "pm_card_chargeDeclined";
    }
  }
  const response = http.post(`${__ENV.API_URL}/api/orders`, JSON.stringify(order), {
    headers: { "Content-Type": "application/json" },
  });
  check(response, { "the order is created": (response) => response.status === 201 });
}
