"""Sentences written for this project, for synthetic voices to say: by part, then by language of espeak-ng.

They hold no numbers and few words that somebody might want to spot. A part has its own sentences.
"""

from __future__ import annotations

from export.data.recording import Split

SENTENCES: dict[Split, dict[str, tuple[str, ...]]] = {
    "train": {
        "en-us": (
            "The train was late again, so we walked along the river and talked about the garden.",
            "Have you seen my glasses? I put them beside the lamp this morning.",
            "My sister bought a green coat, but she never wears it when it snows.",
            "Please remember to water the plants while I am away.",
            "What a strange evening; nobody knew the song, yet everybody sang along.",
            "Could we talk about dinner later? I still have to finish this letter.",
            "The museum closes early during winter, which surprised the visitors.",
            "He laughed, shook his head, and carried the old table into the kitchen.",
            "I think the weather will change soon, my knee hurts.",
            "Well, let us see whether anybody answers the telephone today.",
        ),
        "de": (
            "Gestern haben wir lange am Fenster gesessen und über den Regen geredet.",
            "Kannst du mir bitte sagen, wann der Laden morgen öffnet?",
        ),
        "fr-fr": (
            "Ce matin le marché sentait le pain chaud et les pommes.",
            "Je ne sais pas encore si nous partirons avant la fin du mois.",
        ),
        "pt-br": ("Depois do almoço, o menino contou a história do barco azul.",),
        "ru": ("Вечером мы пили чай и слушали, как шумит дождь.",),
        "hi": ("आज सुबह बाज़ार में बहुत भीड़ थी और हवा ठंडी थी।",),
        "sv": ("I går gick vi genom skogen och hittade en gammal bro.",),
        "cmn": ("昨天晚上我们在公园里散步，看见很多孩子在玩。",),
        "id": ("Tadi pagi ibu pergi ke pasar untuk membeli sayur dan ikan segar.",),
        "hu": ("Tegnap este sokáig beszélgettünk a konyhában a nyaralásról.",),
        "sw": ("Watoto wanacheza nje wakati mama anapika chakula cha jioni.",),
    },
    "validation": {
        "en-gb": (
            "Nobody remembers who painted the gate, but everyone likes its colour.",
            "Would you mind closing the window? There is a terrible draught.",
            "Our neighbours are moving to the coast because they miss the sea.",
            "I was about to call you when the postman arrived.",
            "The children built a castle of cushions behind the sofa.",
        ),
        "es": (
            "La bicicleta roja se quedó toda la noche delante de la casa.",
            "Mañana vamos a visitar a mis abuelos en el campo.",
        ),
        "pl": ("Na strychu stoi stara skrzynia pełna listów i map.",),
        "tr": ("Dün akşam balkonda oturup uzun uzun konuştuk.",),
        "fi": ("Aamulla järvi oli aivan tyyni ja linnut lauloivat rannalla.",),
        "vi": ("Sáng nay trời mát nên chúng tôi đi bộ ra chợ mua hoa.",),
    },
    "test": {
        "en-gb-scotland": (
            "We packed the books and carried them slowly through the narrow hall.",
            "If you hurry, you might still catch the last ferry across the bay.",
            "She could not decide between the soup and the salad.",
            "Somebody must have forgotten this umbrella in the waiting room.",
            "They have been repairing that bridge since before I was born.",
        ),
        "it": (
            "La finestra era aperta e si sentiva il mare da lontano.",
            "Domani mattina compro il pane e poi passo a trovarti.",
        ),
        "nl": ("De oude molen draait alleen nog als het hard waait.",),
        "cs": ("Na nádraží hrál starý muž na housle a nikdo nespěchal.",),
        "el": ("Το καλοκαίρι καθόμαστε στην αυλή και λέμε ιστορίες.",),
        "ro": ("Bunica povestea adesea despre satul ei de lângă munte.",),
    },
}
