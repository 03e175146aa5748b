"""The words of conversations: what people say, what is written about it, and whom it concerns."""

from typing import Final

_OPENINGS: Final = (
    "So if I understand you right,",
    "To be honest,",
    "Well, the way we see it,",
    "Let me share my screen:",
    "Right now",
    "As you said last week,",
    "What I would like to know is whether",
    "From our side",
    "Before we go on,",
    "Just to be clear,",
    "Ehrlich gesagt,",
    "Out of curiosity,",
)
_MIDDLES: Final = (
    "the team in Zürich",
    "our procurement department",
    "the second phase of the rollout",
    "every region except the north",
    "the contract that ends in March",
    'what they call a "single source of truth"',
    "the integration with the data warehouse",
    "our chief of security",
    "the budget for next year",
    "most of the reps",
    "the pilot with forty users",
    "the new pricing model",
)
_ENDINGS: Final = (
    "needs another two weeks.",
    "would have to sign that off first.",
    "is still an open question for us.",
    "costs more than we thought?",
    "could start on Monday, if that works for you.",
    "has never been a problem.",
    "looks good so far, doesn't it?",
    "will save about twelve hours a week.",
    "is on the list, but not at the top of it.",
    "depends on what legal says.",
    "went live yesterday 🎉.",
    "was 15 % below the plan.",
)
_SHORT: Final = (
    "Okay.",
    "Yes.",
    "Mm-hm, exactly.",
    "Sorry, you go first.",
    "第3四半期の見通しについて話しましょう。",
    "C:\\reports\\q3, do you see it?",
    "…",
    "שלום, can you hear me?",
)

TOPICS: Final = (
    "Call setup",
    "Introductions",
    "Discovery",
    "Product demo",
    "Pricing",
    "Objections",
    "Competition",
    "Security & compliance",
    "Timeline",
    "Next steps",
    "Small talk",
    "Wrap-up",
)
TRACKERS: Final = (
    "Competitors",
    "Budget",
    "Authority",
    "Timing",
    "Security",
    "Discount",
    "Churn risk",
    "Decision process",
    "Pain points",
    "Onboarding",
    "Integration",
    "Legal",
)
PHRASES: Final = ("too expensive", "next quarter", "sign off", "Globex", "on premise", "règlement général", "go live")
SECTIONS: Final = ("Introduction", "Current situation", "Demo of the product", "Prices", "Open questions", "Next steps")
AGENDA: Final = ("Meeting setup", "Introductions", "Agenda", "Main part", "Questions", "Wrap-up")
HIGHLIGHTS: Final = ("Action items", "Next steps", "Recap")
OUTCOMES: Final = (
    ("MEETING_BOOKED", "Answered", "Meeting booked"),
    ("NOT_INTERESTED", "Answered", "Not interested"),
    ("LEFT_VOICEMAIL", "Not answered", "Left a voicemail"),
    ("CALL_BACK_LATER", "Answered", "Call back later"),
)
COMMENTS: Final = (
    "Great way to handle that objection!",
    "@[Ada Example0](100000000000000000) can you follow up on this?",
    "This is the part about prices.\nListen from here.",
    "+1",
)
FIRST_NAMES: Final = ("Ana", "Ben", "Chloé", "Dmitri", "Eszter", "Farid", "Grace", "Hiro", "Inês", "Jürgen")
LAST_NAMES: Final = ("Abel", "Bauer", "Cruz", "Dąbrowski", "Eto", "Ferrari", "Gómez", "Hansen", "Ito", "O'Neill")
COMPANIES: Final = ("Acme", "Globex", "Initech", "Umbrella", "Hooli", "Stark", "Wayne", "Wonka", "Tyrell", "Cyberdyne")
JOBS: Final = ("Head of Operations", "CFO", "Buyer", "VP Sales", "Data Engineer", "Director, R&D", "Office Manager")


def say(bits: int) -> str:
    """Return a spoken sentence that depends on the bits alone; one of ten is very short."""
    if bits % 10 == 0:
        return _SHORT[(bits >> 4) % len(_SHORT)]
    return f"{_OPENINGS[(bits >> 4) % 12]} {_MIDDLES[(bits >> 12) % 12]} {_ENDINGS[(bits >> 20) % 12]}"


def note(bits: int) -> str:
    """Return a written sentence that depends on the bits alone."""
    subject, other = _MIDDLES[(bits >> 4) % 12], _MIDDLES[(bits >> 12) % 12]
    return f"They discussed {subject} and {other}, which {_ENDINGS[(bits >> 20) % 12]}"
