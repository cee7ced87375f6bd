"""A small shop: an agent with a function of ours, watched by callbacks. Needs no key: its model is scripted.

Run it: python examples/python/shop.py
"""

from typing import Annotated, Any

from pydantic import Field

from hector import Agent, Answer, Hector, tool


@tool(idempotent=True)
def order_status(number: Annotated[int, Field(description="the order's number", ge=1)]) -> dict[str, str]:
    """Look up where an order is."""
    return {"number": str(number), "state": "on its way"}


def note(context: Any, name: str, args: dict[str, Any]) -> None:
    """Called before each tool call; None lets it happen."""
    print(f"  {context.user} has {name} called with {args}")


def sign(context: Any, text: str) -> str:
    """Called with the answer; what it returns takes its place."""
    return f"{text}\n-- your shop"


RULES = [
    {"user": r"order (\d+)", "turn": 0, "tool_calls": [{"name": "order_status", "args": {"number": r"\1"}}]},
    {"tool_result_matches": "on its way", "text": "Your order is on its way."},
    {"text": "Which order do you mean?"},
]
clerk = (
    Agent("clerk", "You work in a shop. Use the tools; never guess.", tools=[order_status])
    .before_tool(note)
    .after_agent(sign)
)
shop = Hector(name="shop").llm(provider="scripted", rules=RULES).agent(clerk)


def main() -> None:
    """Ask twice in one conversation, the second time piece by piece."""
    with shop:
        answer = shop.run_sync("Hello!", user="ana")
        print(answer)
        for item in shop.stream_sync("Where is order 7?", user="ana", session=answer.session):
            print(item.text if isinstance(item, Answer) else f"  [{item.kind}] {item.text}")


if __name__ == "__main__":
    main()
